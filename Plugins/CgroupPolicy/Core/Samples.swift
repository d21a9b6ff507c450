// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension Configuration {
    /// A packet for each of the first rules on packets, and what the whole of the rules makes of it.
    func samples(_ part: Part) -> [Sample] {
        guard let rules = rules(part) else { return [] }
        return rules.rules.prefix(32).compactMap { rule in
            // Of other addresses the first one is a network's.
            let address = rule.prefixes.first.map { Self.within($0) } ?? "192.0.2.1"
            let facts = PacketFacts(
                address: address, port: rule.ports?.ranges.first?.lowerBound ?? 40_000,
                localPort: rule.localPorts?.ranges.first?.lowerBound ?? 40_001,
                protocol: rule.transport == .udp ? 17 : 6)
            let verdict: Verdict =
                rules.decision(facts).action == .deny && mode == .enforce ? .drop : .next
            return Sample(name: "a packet of rule \(rule.name)", packet: facts.frame(part), expect: verdict)
        }
    }

    private static func within(_ prefix: IPPrefix) -> IPAddress {
        var bytes = prefix.address.bytes
        if prefix.length < bytes.count * 8 { bytes[bytes.count - 1] |= 1 }
        return IPAddress(bytes: bytes)
    }
}

extension PacketFacts {
    /// A frame whose other end this is.
    func frame(_ part: Part) -> Bytes {
        let own: IPAddress = address.isIPv4 ? "198.51.100.1" : "2001:db8:ffff::1"
        let (source, destination) = part == .egress ? (own, address) : (address, own)
        let ports = part == .egress ? (localPort, port) : (port, localPort)
        let network: PacketLayer =
            address.isIPv4 ? .ipv4(from: source, to: destination) : .ipv6(from: source, to: destination)
        let transport: PacketLayer =
            `protocol` == 17 ? .udp(from: ports.0, to: ports.1) : .tcp(from: ports.0, to: ports.1)
        return Bytes(Packet.bytes(.ethernet(), network, transport, .payload(32)))
    }
}
