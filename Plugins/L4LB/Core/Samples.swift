// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension Configuration {
    /// Packets whose fate does not hang on routes, sockets or which servers are up.
    var samples: [Sample] {
        var samples = [
            Sample(
                name: "an ARP question",
                packet: Bytes(Packet.bytes(.ethernet(), .arp(sender: "192.0.2.1", target: "192.0.2.2"))),
                expect: .next)
        ]
        for isIPv4 in [true, false] {
            let client: IPAddress = isIPv4 ? "192.0.2.1" : "2001:db8::1"
            let elsewhere: IPAddress = isIPv4 ? "192.0.2.2" : "2001:db8::2"
            if !services.contains(where: { $0.vip.contains(elsewhere) }), ![elsewhere].contains(localAddress) {
                samples.append(
                    sample("a packet to no VIP, \(elsewhere)", from: client, to: elsewhere, .tcp(from: 1024, to: 80)))
            }
            guard let service = services.first(where: { $0.vip.isIPv4 == isIPv4 }) else { continue }
            let vip = service.vip.address
            if let port = freePort(of: service) {
                samples.append(
                    sample(
                        "a packet to \(vip) \(service.protocol.rawValue) \(port), which no service has", from: client,
                        to: vip, service.protocol == .tcp ? .tcp(from: 1024, to: port) : .udp(from: 1024, to: port)))
            }
            if icmpEcho {
                let ping: PacketLayer = isIPv4 ? .icmp() : .icmpv6()
                samples.append(sample("a ping of \(vip)", from: client, to: vip, ping, expect: .tx))
            }
        }
        return samples
    }

    private var localAddress: IPAddress? { servers.first { $0.name == local }?.address }

    /// A port of its VIP and protocol that no service has.
    private func freePort(of service: Service) -> UInt16? {
        let ranges = services.filter { $0.vip == service.vip && $0.protocol == service.protocol }.map(\.ports)
        return (1...UInt16.max).first { port in !ranges.contains { $0.contains(port) } }
    }

    private func sample(
        _ name: String, from client: IPAddress, to address: IPAddress, _ layer: PacketLayer, expect: Verdict = .next
    ) -> Sample {
        let ip: PacketLayer = address.isIPv4 ? .ipv4(from: client, to: address) : .ipv6(from: client, to: address)
        return Sample(
            name: name, packet: Bytes(Packet.bytes(.ethernet(), ip, layer, .payload(18))), expect: expect)
    }
}
