// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension Rule {
    /// Whether all conditions hold: what the program finds out by its tables, said plainly.
    public func matches(_ packet: PacketFacts) -> Bool {
        if let source, !source.contains(packet.source) { return false }
        if let destination, !destination.contains(packet.destination) { return false }
        if let `protocol`, `protocol`.number != packet.protocol { return false }
        if let tcpFlags, !(packet.tcpFlags.map(tcpFlags.matches) ?? false) { return false }
        if let fragment, !fragment.includes(packet.fragment) { return false }
        if let payload, !(packet.payload.map(payload.matches) ?? false) { return false }
        return holds(sourcePort, packet.ports?.source) && holds(destinationPort, packet.ports?.destination)
            && holds(icmpType, packet.icmp?.type) && holds(icmpCode, packet.icmp?.code)
            && holds(length, packet.length) && holds(ttl, packet.ttl) && holds(dscp, packet.dscp)
            && holds(vlan, packet.vlans.first) && holds(innerVLAN, packet.vlans.dropFirst().first)
    }

    /// Whether a condition, if it is one, holds for a number, if the packet has it.
    private func holds(_ numbers: NumberSet?, _ number: (some BinaryInteger)?) -> Bool {
        guard let numbers else { return true }
        return number.map { numbers.contains(UInt32($0)) } ?? false
    }
}

extension Fragment {
    /// - Parameter packet: What a packet is: not `any`.
    func includes(_ packet: Fragment) -> Bool {
        self == packet || self == .any && packet != .no
    }
}

extension Configuration {
    /// The rule that decides about the packet; nil if none does, or nothing is done to its source.
    public func decidingRule(_ packet: PacketFacts) -> Int? {
        guard !allow.contains(where: { $0.contains(packet.source) }) else { return nil }
        return rules.firstIndex { $0.decides && $0.matches(packet) }
    }
}
