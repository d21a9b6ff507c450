// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension Configuration {
    /// Packets to try before the stage goes live; what is expected of them holds whatever the limits' tables hold.
    func samples(_ limits: [Limit]) -> [Sample] {
        let dropped: Verdict = dryRun ? .next : .drop
        let malformedVerdict: Verdict = malformed == .drop ? dropped : .next
        var samples = [
            Sample(
                name: "an ARP request",
                packet: Bytes(
                    Packet.bytes(.ethernet(to: .broadcast), .arp(sender: "192.0.2.1", target: "192.0.2.2"))),
                expect: .next),
            Sample(
                name: "a neighbour solicitation",
                packet: Bytes(
                    Packet.bytes(
                        .ethernet(), .ipv6(from: "fe80::1", to: "ff02::1:ff00:2", hopLimit: 255), .icmpv6(type: 135),
                        .payload(16))),
                expect: .next),
            Sample(
                name: "a frame that is not IP (LLDP)",
                packet: Bytes(Packet.bytes(.ethernet(type: 0x88cc), .payload(46))), expect: .next),
            // Without addresses that could be on the allow list.
            Sample(
                name: "an IPv4 packet that says it is longer than its frame",
                packet: Bytes(
                    Packet.bytes(
                        .ethernet(), .ipv4(from: "192.0.2.1", to: "192.0.2.2", totalLength: 1500), .udp(from: 1, to: 2),
                        .payload(18))),
                expect: malformedVerdict),
            Sample(
                name: "an IPv6 header that is cut off",
                packet: Bytes(
                    Array(
                        Packet.bytes(.ethernet(), .ipv6(from: "2001:db8::1", to: "2001:db8::2"), .udp(from: 1, to: 2))
                            .prefix(40))),
                expect: malformedVerdict),
        ]
        samples += [allow.first(where: \.isIPv4), allow.first { !$0.isIPv4 }].compactMap(\.self).map { prefix in
            Sample(name: "a packet from \(prefix)", packet: Probe(from: prefix.address).packet, expect: .next)
        }
        samples += rules.indices.lazy.compactMap { sample(of: $0, dropped: dropped) }.prefix(16)
        // Only limits generous enough that trying again and again does not use them up.
        guard limits.allSatisfy({ $0.unit == .packets ? $0.burst >= 100 : $0.burst >= 100_000 }) else { return samples }
        return samples
            + [("an ordinary IPv4 packet", "192.0.2.1"), ("an ordinary IPv6 packet", "2001:db8::1")]
            .compactMap { name, source in
                let probe = Probe(from: IPAddress(source)!)
                guard decidingRule(probe.facts) == nil else { return nil }
                return Sample(name: name, packet: probe.packet, expect: .next)
            }
    }

    /// A packet that meets a rule; nil when none decides about it.
    private func sample(of index: Int, dropped: Verdict) -> Sample? {
        guard let probe = Probe(meeting: rules[index]), let deciding = decidingRule(probe.facts) else { return nil }
        // What a limit says depends on what came before, and a rule that ends may end meanwhile.
        guard rules[...deciding].allSatisfy({ $0.lifetime == nil && $0.end == nil }), rules[deciding].limit == nil
        else {
            return nil
        }
        let drops = rules[deciding].action == .drop
        let verb = drops ? "drops" : "lets pass"
        let name =
            deciding == index
            ? "a packet that \(label(index)) \(verb)"
            : "a packet of \(label(index)) that \(label(deciding)) \(verb) first"
        return Sample(name: name, packet: probe.packet, expect: drops ? dropped : .next)
    }
}

/// A packet, and what rules see in it.
private struct Probe {
    private(set) var facts: PacketFacts
    let packet: Bytes

    /// A UDP datagram.
    init(from source: IPAddress) {
        let destination: IPAddress = source.isIPv4 ? "198.51.100.1" : "2001:db8:ffff::1"
        self.init(
            PacketFacts(
                source: source, destination: destination, protocol: 17, ports: .init(source: 4000, destination: 4001),
                length: source.isIPv4 ? 60 : 80))!
    }

    /// A packet that meets all conditions of a rule; nil where this cannot build one.
    init?(meeting rule: Rule) {
        let isIPv4 = rule.isIPv4 ?? true
        let number = rule.protocol?.number ?? (rule.tcpFlags != nil ? 6 : 17)
        let header: UInt32
        switch number {
        case 6: header = 20
        case 17: header = 8
        default: return nil
        }
        let smallest = (isIPv4 ? 20 : 40) + header
        let length = max(smallest, rule.length?.first ?? smallest)
        // A preflight packet of one page.
        guard length <= 1500 else { return nil }
        let ports = PacketFacts.Ports(
            source: UInt16(rule.sourcePort?.first ?? 4000), destination: UInt16(rule.destinationPort?.first ?? 4001))
        self.init(
            PacketFacts(
                source: rule.source?.address ?? (isIPv4 ? "192.0.2.1" : "2001:db8::1"),
                destination: rule.destination?.address ?? (isIPv4 ? "198.51.100.1" : "2001:db8:ffff::1"),
                protocol: number, ports: ports, tcpFlags: number == 6 ? rule.tcpFlags?.set ?? .syn : nil, length: length
            ))
        guard rule.matches(facts) else { return nil }
    }

    /// TCP or UDP.
    private init?(_ facts: PacketFacts) {
        guard let ports = facts.ports else { return nil }
        let network: PacketLayer =
            facts.source.isIPv4
            ? .ipv4(from: facts.source, to: facts.destination) : .ipv6(from: facts.source, to: facts.destination)
        let transport: PacketLayer =
            facts.tcpFlags.map { .tcp(from: ports.source, to: ports.destination, flags: $0) }
            ?? .udp(from: ports.source, to: ports.destination)
        let headers = (facts.source.isIPv4 ? 20 : 40) + (facts.tcpFlags == nil ? 8 : 20)
        let payload = [UInt8](repeating: 0, count: Int(facts.length) - headers)
        self.facts = facts
        self.facts.payload = payload
        packet = Bytes(Packet.bytes(.ethernet(), network, transport, .payload(payload)))
    }
}
