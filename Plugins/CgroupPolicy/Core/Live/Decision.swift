// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// What rules ask of a call or a packet.
struct PacketFacts: Sendable, Equatable {
    var address: IPAddress
    var port: UInt16
    /// Of packets, the service's own.
    var localPort: UInt16 = 0
    /// Its number.
    var `protocol`: UInt16

    /// What the rules of destinations are asked instead of zeros: the machine itself.
    var destination: PacketFacts {
        var facts = self
        if address.bytes.allSatisfy({ $0 == 0 }) { facts.address = address.isIPv4 ? "127.0.0.1" : "::1" }
        return facts
    }
}

extension Rules {
    /// What becomes of it, and the number of the rule that says so; 0 for the default.
    ///
    /// As the documentation has it: rule by rule. The program gets there by tables, see `Places`.
    func decision(_ facts: PacketFacts) -> (action: Action, rule: Int) {
        for (index, rule) in rules.enumerated() where rule.holds(for: facts) { return (rule.action, index + 1) }
        return (otherwise, 0)
    }
}

extension Rule {
    func holds(for facts: PacketFacts) -> Bool {
        guard prefixes.isEmpty || prefixes.contains(where: { $0.contains(facts.address) }) else { return false }
        let isTCP = facts.protocol == 6 || facts.protocol == 262
        let isUDP = facts.protocol == 17 || facts.protocol == 136
        switch transport {
        case .tcp: guard isTCP else { return false }
        case .udp: guard isUDP else { return false }
        case .any: guard isTCP || isUDP || (ports == nil && localPorts == nil) else { return false }
        }
        return ports?.contains(facts.port) ?? true && localPorts?.contains(facts.localPort) ?? true
    }
}
