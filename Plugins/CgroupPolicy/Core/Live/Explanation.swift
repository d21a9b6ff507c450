// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A call or a packet that is asked about.
struct Call: Decodable {
    enum Transport: String, Decodable, CaseIterable {
        case tcp, udp, other
    }

    var `protocol`: Transport
    var address: String
    var port: UInt16?
    /// The service's own, of packets.
    var localPort: UInt16?

    private enum CodingKeys: String, CodingKey {
        case `protocol`, address, port
        case localPort = "local-port"
    }
}

/// What becomes of it, and why.
struct Explanation {
    private let part: Part
    private let facts: PacketFacts
    private let configuration: Configuration
    private let call: Call

    init(_ call: Call, _ configuration: Configuration, _ part: Part) throws(StageError) {
        guard part != .sockCreate, part != .sockops else {
            throw StageError("a hook of \(part.rawValue) is asked of no address", at: "explain")
        }
        guard let address = IPAddress(call.address) else {
            throw StageError("\"\(call.address)\": expected an address of IPv4 or IPv6", at: "explain.address")
        }
        (self.part, self.configuration, self.call) = (part, configuration, call)
        facts = PacketFacts(
            address: address, port: call.port ?? 0, localPort: call.localPort ?? 0,
            protocol: call.protocol == .tcp ? 6 : call.protocol == .udp ? 17 : 255)
    }

    var table: StageTable {
        let asked = part.rewrites ? facts.destination : facts
        var notes: [String] = []
        if asked != facts { notes.append("\(facts.address) is the machine itself: asked is \(asked.address)") }
        guard let rules = configuration.rules(part) else {
            return StageTable(
                columns: ["rule", "action"], rows: [],
                notes: notes + ["nothing is said of \(part.rawValue): it goes on"] + rewritten(asked))
        }
        let (action, number) = rules.decision(asked)
        var rows: [[JSON]] = []
        // What is for the address but not for this: the likeliest surprise.
        let before = number > 0 ? rules.rules[..<(number - 1)] : rules.rules[...]
        for rule in before.lazy.filter({ $0.prefixes.contains { $0.contains(asked.address) } }).prefix(8) {
            rows.append([
                .string(rule.name), .string(rule.text), "is for the address, but not for the protocol or port",
            ])
        }
        if number > 0 {
            let rule = rules.rules[number - 1]
            rows.append([.string(rule.name), .string(rule.text), "holds, and decides"])
        } else {
            rows.append([.string(Rules.defaultName), .string(action.rawValue), "no rule holds"])
        }
        let name = number > 0 ? "rule \"\(rules.rules[number - 1].name)\"" : "the default"
        let end = part.rewrites || part == .bind ? "\(part.verb) \(what)" : "a \(part.verb) \(what)"
        notes.append(
            action == .allow
                ? "\(end) is allowed by \(name)"
                : configuration.mode == .enforce
                    ? "\(end) is denied by \(name)"
                    : "\(end) would be denied by \(name), and goes on, as the mode is audit")
        return StageTable(
            columns: ["rule", "action", "why"], rows: rows,
            notes: notes + (action == .allow || configuration.mode == .audit ? rewritten(asked) : []))
    }

    private var what: String {
        let text = call.port.map { "\(Endpoint(facts.address, $0))" } ?? "\(facts.address)"
        return "\(text) (\(call.protocol.rawValue))"
    }

    private func rewritten(_ facts: PacketFacts) -> [String] {
        guard part.rewrites, call.protocol != .other else { return [] }
        let transport: Rule.Transport = call.protocol == .tcp ? .tcp : .udp
        return configuration.rewrite.filter {
            $0.from == Endpoint(facts.address, facts.port) && $0.transports.contains(transport)
        }.map { "it gets to \($0.to): \($0.from) stands for that" }
    }
}
