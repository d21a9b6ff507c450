// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension Configuration {
    /// Packets to try before the stage goes live; what is expected of them holds whatever the buckets hold.
    var samples: [Sample] {
        var samples = [
            Sample(
                name: "a TCP segment",
                packet: Bytes(
                    Packet.bytes(.ethernet(), .ipv4(from: "192.0.2.1", to: "192.0.2.2"), .tcp(from: 4000, to: 53))),
                expect: .next)
        ]
        if let other = (1...UInt16.max).first(where: { !(ports?.contains($0) ?? true) }) {
            samples.append(datagram("a datagram to port \(other)", policies[0].destinations[0].address, port: other))
        }
        samples += policies.filter(\.isGenerous).prefix(8).map {
            datagram("a datagram to \($0.destinations[0].address), of policy \($0.name)", $0.destinations[0].address)
        }
        return samples
    }

    private func datagram(_ name: String, _ destination: IPAddress, port: UInt16? = nil) -> Sample {
        let network: PacketLayer =
            destination.isIPv4
            ? .ipv4(from: "192.0.2.1", to: destination) : .ipv6(from: "2001:db8::1", to: destination)
        return Sample(
            name: name,
            packet: Bytes(
                Packet.bytes(
                    .ethernet(), network, .udp(from: 4000, to: port ?? ports?.ranges[0].lowerBound ?? 53), .payload(32))
            ),
            expect: .next)
    }
}

extension Policy {
    /// Whether trying again and again does not use its limits up, nor changes what becomes of a packet.
    fileprivate var isGenerous: Bool {
        action != .drop || [perAddress, perPrefix, perSource?.rate].compactMap(\.self).allSatisfy { $0.burst >= 100 }
    }
}
