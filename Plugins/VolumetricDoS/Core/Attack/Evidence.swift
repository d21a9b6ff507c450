// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples

/// What a pattern is looked for in: traffic to a target, and what is known of the traffic that is to be spared.
struct Evidence {
    /// What passes to the target.
    var attack: Traffic
    /// What usually does, as part of which the attack came.
    var usual: Traffic
    /// What must not be hit: the usual traffic, or, where nothing is known of that, what goes to others.
    var bystanders: [Observation]
    /// Of the packets, `bystanders` as a whole; shares are of these.
    let bystanderPackets: Double

    /// So few samples say nothing of what is usual.
    private static let fewest = 64

    /// - Parameter others: Usual traffic to anywhere.
    init(attack: Traffic, usual: Traffic, others: [Observation]) {
        self.attack = attack
        self.usual = usual
        bystanders = usual.samples.count >= Self.fewest ? usual.samples : others
        bystanderPackets = bystanders.packets
    }

    /// Packets a second more than usual.
    var excess: Double { max(0, attack.rate - usual.rate) }

    /// The share of the bystanders that is in it, 0 to 1.
    var cost: Double { bystanderPackets > 0 ? bystanders.packets / bystanderPackets : 0 }

    /// Whether there are any bystanders known that the cost could tell of.
    var knowsBystanders: Bool { bystanderPackets > 0 }

    mutating func keep(_ isIncluded: (Observation) -> Bool) {
        attack.samples.removeAll { !isIncluded($0) }
        usual.samples.removeAll { !isIncluded($0) }
        bystanders.removeAll { !isIncluded($0) }
    }

    func keeping(_ isIncluded: (Observation) -> Bool) -> Evidence {
        var evidence = self
        evidence.keep(isIncluded)
        return evidence
    }

    /// By how many packets a second each value is more frequent than usual; the most frequent first.
    func excess(by feature: Feature) -> [(value: UInt32, excess: Double)] {
        let (rates, usualRates) = (attack.rates(by: feature), usual.rates(by: feature))
        // Usual traffic has its ups and downs: only what is well above it is part of an attack.
        let excess = rates.compactMap { value, rate -> (value: UInt32, excess: Double)? in
            let before = usualRates[value] ?? 0
            return rate >= 1.5 * before ? (value, rate - before) : nil
        }
        return excess.sorted { ($0.excess, $1.value) > ($1.excess, $0.value) }
    }

    /// Whether there is more than chance and the usual ups and downs would make of it.
    var isSure: Bool {
        let deviation = attack.samples.reduce(0) { $0 + $1.packets * $1.packets }.squareRoot() / attack.seconds
        return attack.samples.count >= 20 && excess >= 3 * deviation && excess >= 0.5 * usual.rate
    }

    /// The condition that holds the values that the attack has most, until they make up nearly all of the excess, or most
    /// of it and the next is much rarer than those.
    func condition(_ feature: Feature) -> Condition? {
        var held = 0.0
        var values: [UInt32] = []
        for (value, excess) in excess(by: feature) {
            if held >= 0.99 * self.excess { break }
            if held >= 0.9 * self.excess, excess < 0.2 * held / Double(values.count) { break }
            held += excess
            values.append(value)
        }
        guard !values.isEmpty else { return nil }
        return Condition(feature, values: values.sorted())
    }
}
