// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples

/// A pattern that holds an attack, or a part of it, and what is known of it.
struct Finding {
    let pattern: Pattern
    /// Packets a second that it would hold.
    let rate: Double
    /// How many it would have held before.
    let usualRate: Double
    /// The share of the bystanders that it would hold, 0 to 1.
    let cost: Double

    init(_ pattern: Pattern, _ evidence: Evidence) {
        let held = evidence.keeping(pattern.matchesBut)
        self.pattern = pattern
        rate = held.attack.rate
        usualRate = held.usual.rate
        cost = held.cost
    }

    /// Why there is a rule: `1,200,000 packets/s to 192.0.2.1, of them 98.0% UDP from port 123, 120 before`.
    /// - Parameters:
    ///   - total: All packets a second to the target.
    ///   - held: Those of them that match.
    func reason(of total: Double, held: Double) -> String {
        let source = pattern.source.map { " from \($0.text)" } ?? ""
        let spared = cost >= 0.0005 ? "; takes \(percent(cost, of: 1)) of what usually comes" : ""
        return "\(grouped(total)) packets/s to \(pattern.destination.text), of them \(percent(held, of: total)) "
            + "\(pattern.words)\(source), \(grouped(usualRate)) before\(spared)"
    }
}

extension Pattern {
    /// Its conditions but for the destination, which all that is looked at goes to, or takes the place of.
    func matchesBut(destination observation: Observation) -> Bool {
        source.map { $0.contains(observation.sourceAddress) } ?? true
            && conditions.allSatisfy { $0.matches(observation) }
    }

    fileprivate var matchesBut: (Observation) -> Bool { { matchesBut(destination: $0) } }
}

/// To three digits, as it is an estimate: `1,200,000`.
func grouped(_ number: Double) -> String {
    var value = Int(number.rounded())
    var unit = 1
    while value / unit >= 1000 { unit *= 10 }
    value = (value + unit / 2) / unit * unit
    var text = ""
    for (index, digit) in String(value).reversed().enumerated() {
        if index > 0, index % 3 == 0 { text = "," + text }
        text = String(digit) + text
    }
    return text
}
