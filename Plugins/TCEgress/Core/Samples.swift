// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension Configuration {
    /// Packets to try before the stage goes live; what is expected of them holds whatever the cells hold.
    func samples(isIngress: Bool) -> [Sample] {
        // A test run's packets have a link header.
        guard link == .ethernet else { return [] }
        var samples = [
            Sample(
                name: "an ARP request",
                packet: Bytes(Packet.bytes(.ethernet(to: .broadcast), .arp(sender: "192.0.2.1", target: "192.0.2.2"))),
                expect: .next),
            Sample(
                name: "a neighbour solicitation from a link-local address",
                packet: Bytes(
                    Packet.bytes(
                        .ethernet(), .ipv6(from: "fe80::1", to: "ff02::1:ff00:2", hopLimit: 255), .icmpv6(type: 135),
                        .payload(16))), expect: .next),
            Sample(
                name: "an IPv4 packet that says it is longer than its frame",
                packet: Bytes(
                    Packet.bytes(
                        .ethernet(), .ipv4(from: "192.0.2.1", to: "192.0.2.2", totalLength: 1500), .udp(from: 1, to: 2),
                        .payload(18))), expect: sourceGuard.isEmpty ? .next : .drop),
        ]
        if let spoofed { samples.append(sample("from a source that is not ours", from: spoofed, to: nil, .drop)) }
        let blocked = block.lazy.flatMap(\.prefixes).first(where: isBlocked)
        for (prefix, verdict) in [(blocked, Verdict.drop), (allow.first, .next)] {
            guard let prefix, let own = own(isIPv4: prefix.isIPv4) else { continue }
            let name = "with \(verdict == .drop ? "the blocked" : "the allowed") \(prefix)"
            samples.append(
                isIngress
                    ? sample(name, from: prefix.address, to: own, verdict)
                    : sample(name, from: own, to: prefix.address, verdict))
        }
        return samples
    }

    /// Whether an allow list leaves it blocked.
    private func isBlocked(_ prefix: IPPrefix) -> Bool { !allow.contains { $0.contains(prefix.address) } }

    /// A source that may leave.
    private func own(isIPv4: Bool) -> IPAddress? {
        if !isIPv4 { return "fe80::1" }
        return sourceGuard.isEmpty ? "192.0.2.1" : sourceGuard.first(where: \.isIPv4)?.address
    }

    /// A source that the guard does not let leave; nil where it lets all.
    private var spoofed: IPAddress? {
        guard !sourceGuard.isEmpty else { return nil }
        let candidates: [IPAddress] = ["203.0.113.1", "198.18.0.1", "2001:db8:ffff::1", "240.0.0.1"]
        return candidates.first { candidate in !sourceGuard.contains { $0.contains(candidate) } }
    }

    private func sample(_ name: String, from source: IPAddress, to other: IPAddress?, _ expect: Verdict) -> Sample {
        let destination = other ?? (source.isIPv4 ? "198.51.100.1" : "2001:db8::1")
        let network: PacketLayer =
            source.isIPv4 ? .ipv4(from: source, to: destination) : .ipv6(from: source, to: destination)
        return Sample(
            name: "a datagram \(name)",
            packet: Bytes(Packet.bytes(.ethernet(), network, .udp(from: 4000, to: 4001), .payload(18))), expect: expect)
    }
}
