// SPDX-License-Identifier: Apache-2.0

import StageKit
import StageTesting

@testable import L4LB

// All from small sets of addresses and ports, so that packets meet services.
extension SeededGenerator {
    /// Servers of both families, pools of each encapsulation, services on VIPs of each kind.
    mutating func balancerConfiguration() -> Configuration {
        let numbers = Array((1...4095).shuffled(using: &self).prefix(14))
        let servers = (0..<14).map { index in
            let address: IPAddress = index < 7 ? "192.0.2.0" : "2001:db8::"
            return Server(
                name: "edge\(index)", number: numbers[index],
                address: IPAddress(bytes: address.bytes.dropLast() + [UInt8(11 + index)]),
                mac: MACAddress([2, 0, 0, 0, 9, UInt8(index)]), weight: pick([100, 100, 50, 1]))
        }
        func pool(_ name: String, _ encapsulation: Pool.Encapsulation, _ servers: ArraySlice<Server>) -> Pool {
            Pool(
                name: name, servers: servers.shuffled(using: &self).prefix(pick([1, 2, 4, 6, 7, 7])).map(\.name),
                encapsulation: encapsulation, hash: chance(0.2) ? .source : .fiveTuple,
                entries: pick([256, 512, 1024, 4096]))
        }
        let (v4, v6) = (servers.prefix(7), servers.dropFirst(7))
        var pools: [Pool] = []
        for encapsulation in [Pool.Encapsulation.gue, .gue, .ipip] {
            pools.append(pool("v4-\(pools.count)", encapsulation, v4))
            pools.append(pool("v6-\(pools.count)", encapsulation, v6))
        }
        pools.append(pool("direct", .direct, chance(0.5) ? v4 : v6))
        let vips = ["198.51.100.10", "198.51.100.11", "203.0.113.0/24", "2001:db8:1::10", "2001:db8:2::/64"]
        let ports: [PortRange] = [
            PortRange(80), PortRange(443), PortRange(8000, 8100),
            pick([PortRange(9000, 65535), PortRange(9000, 9000)]),
        ]
        var services: [Service] = []
        for vip in vips {
            for transport in Service.Transport.allCases {
                let isAll = chance(0.2)
                for port in isAll ? [.all] : ports where isAll || chance(0.8) {
                    services.append(
                        Service(
                            name: "s\(services.count)", vip: try! IPPrefix(vip), protocol: transport, ports: port,
                            pool: pick(pools).name, quic: transport == .udp && chance(0.7)))
                }
            }
        }
        // Some are checked through the tunnel, by what clients are served.
        for (index, pool) in pools.enumerated() where pool.encapsulation == .gue && chance(0.7) {
            let isIPv4 = v4.contains { $0.name == pool.servers[0] }
            let checked = services.first { $0.pool == pool.name && $0.protocol == .tcp && $0.vip.isIPv4 == isIPv4 }
            guard let checked else { continue }
            pools[index].check = HealthCheck(.tcp, port: checked.ports == .all ? 8443 : checked.ports.first)
            pools[index].check?.to = .vip
        }
        return Configuration(
            director: Director(
                sourceV4: "192.0.2.9", sourceV6: "2001:db8::9", mtu: pick([1400, 1500, 9000]), route: .back,
                tooBigRate: chance(0.3) ? 0 : .max, hashSeed: next(),
                checkPorts: PortRange(61000, pick([61040, 61999]))),
            guePort: pick([6080, 4000]), servers: servers, pools: pools, services: services,
            local: chance(0.2) ? nil : pick(servers).name, icmpEcho: chance(0.8), quicConfig: number(0...6))
    }

    /// Words of servers, as they lie in `servers_live`, and what comes of them.
    mutating func words(of servers: [Server]) -> (entries: [MapEntry], words: [Int: ReferenceSelection.Word]) {
        var entries: [MapEntry] = []
        var words: [Int: ReferenceSelection.Word] = [:]
        let trouble: Double = pick([0, 0.1, 0.5, 0.75, 0.9])
        // Now and then all but a few drain, so that entries have to look to others.
        let drains = chance(0.2)
        for server in servers {
            var state: ReferenceSelection.State = chance(trouble) ? pick([.filling, .draining, .down]) : .active
            if drains, chance(0.7) { state = .draining }
            let weight = chance(trouble) ? pick([0, 1000, 16384, 32000]) as Int : 32768
            words[server.number] = .init(state: state, weight: weight)
            var tag = UInt64(server.tag)
            let isSaid = chance(0.8)
            if !isSaid {
                // Another server's word.
                tag ^= pick([1, 0x8000_0000])
                words[server.number] = .init(state: .active, weight: 32768)
            }
            let note: UInt64 = number(0...255)
            let raw = tag << 32 | note << 24 | UInt64(state.rawValue) << 16 | UInt64(weight)
            entries.append(MapEntry(key: Bytes(number: UInt32(server.number)), value: Bytes(number: raw)))
        }
        return (entries, words)
    }

    private mutating func client(isIPv4: Bool) -> IPAddress {
        isIPv4
            ? IPAddress(bytes: [10, 0, pick([0, 7]), number(0...255)])
            : IPAddress(bytes: [0x2a, 0] + [UInt8](repeating: 0, count: 12) + [pick([0, 7]), number(0...255)])
    }

    private mutating func vip(_ configuration: Configuration, isIPv4: Bool) -> IPAddress {
        let prefix = pick(configuration.services.map(\.vip).filter { $0.isIPv4 == isIPv4 })
        var bytes = prefix.address.bytes
        if prefix.length < bytes.count * 8 { bytes[bytes.count - 1] = number(0...255) }
        if chance(0.05) { bytes[bytes.count - 1] ^= 0x40 }
        if chance(0.03) { bytes[pick([1, 3])] ^= 1 }
        return IPAddress(bytes: bytes)
    }

    private mutating func servicePort() -> UInt16 { pick([80, 80, 443, 443, 8000, 8050, 8100, 8101, 9000, 65535, 7]) }

    /// A datagram that may be QUIC's.
    private mutating func quicData(_ configuration: Configuration) -> [UInt8] {
        let server = UInt16(chance(0.9) ? pick(configuration.servers).number : number(0...5000))
        let config = chance(0.9) ? configuration.quicConfig : number(0...7)
        let id =
            [config << 5 | number(0...31), UInt8(server >> 8), UInt8(server & 255)]
            + (0..<5).map { _ in number(0...255) }
        let tail = [UInt8](repeating: 0xaa, count: pick([0, 0, 1, 2, 20]))
        guard chance(0.5) else { return [number(0...127)] + id.prefix(pick([8, 8, 8, 4, 3, 2])) + tail }
        let version: [UInt8] = pick([[0, 0, 0, 1], [0x6b, 0x33, 0x43, 0xcf], [0, 0, 0, 0]])
        return [number(128...255)] + version + [pick([8, 8, 8, 4, 3, 0, 20])] + id.prefix(pick([8, 8, 8, 4, 3])) + tail
    }

    /// The layers of an IP packet to a VIP, mostly.
    private mutating func packet(_ configuration: Configuration, isIPv4: Bool) -> [PacketLayer] {
        let (from, to) = (client(isIPv4: isIPv4), vip(configuration, isIPv4: isIPv4))
        var layers: [PacketLayer] = []
        let isFragment = chance(0.12)
        let offset: UInt16 = isFragment && chance(0.6) ? number(1...200) : 0
        let isTCP = chance(0.5)
        if isIPv4 {
            var flags: UInt16 = isFragment && chance(0.5) ? 0 : chance(0.5) ? 0x4000 : 0
            flags |= offset
            layers.append(
                .ipv4(
                    from: from, to: to, next: offset > 0 ? (isTCP ? 6 : 17) : nil, ttl: pick([1, 64, 255]),
                    options: [UInt8](repeating: 1, count: pick([0, 0, 0, 0, 4, 40])), fragmentOffset: flags,
                    moreFragments: isFragment && chance(0.7), totalLength: chance(0.02) ? number(0...200) : nil))
        } else {
            layers.append(
                .ipv6(
                    from: from, to: to, hopLimit: pick([1, 64, 255]),
                    payloadLength: chance(0.02) ? number(0...200) : nil))
            for _ in 0..<pick([0, 0, 0, 0, 0, 1, 2, 7, 8, 9]) {
                switch number(0...3) {
                case 0: layers.append(.authenticationHeader(bytes: pick([12, 24])))
                default: layers.append(.extensionHeader(pick([0, 43, 60, 135, 139, 140]), bytes: pick([8, 16, 40])))
                }
            }
            if isFragment { layers.append(.fragmentHeader(offset: offset, more: chance(0.7), next: nil)) }
        }
        let filler = [UInt8](
            repeating: 0x55, count: pick([0, 0, 7, 20, 100, 1200, 1360, 1380, 1400, 1420, 1440, 1460]))
        switch number(0...19) {
        case 0...1:
            layers.append(isIPv4 ? .icmp(type: pick([8, 8, 0, 13])) : .icmpv6(type: pick([128, 128, 129, 135])))
        case 2...5:
            // The quoted packet went from the VIP to the client.
            let quoted = quote(from: to, to: from, isIPv4: isIPv4)
            layers.append(
                isIPv4 ? .icmp(type: pick([3, 3, 11, 12, 5]), code: pick([0, 4])) : .icmpv6(type: number(1...5)))
            return layers + [.payload(quoted)]
        case 6: layers.append(.sctp(from: 5000, to: servicePort()))
        case _ where isTCP:
            layers.append(
                .tcp(
                    from: number(1024...65535), to: servicePort(),
                    flags: pick([.syn, [.syn, .ack], .ack, .rst, [.fin, .ack]]),
                    options: [UInt8](repeating: 1, count: pick([0, 0, 12, 40]))))
        default:
            layers.append(.udp(from: number(1024...65535), to: servicePort()))
            if chance(0.6) { return layers + [.payload(quicData(configuration))] }
        }
        return layers + [.payload(filler)]
    }

    private mutating func quote(from: IPAddress, to: IPAddress, isIPv4: Bool) -> [UInt8] {
        let from = chance(0.95) ? from : to
        let isFragment = chance(0.2)
        let offset: UInt16 = isFragment && chance(0.5) ? number(1...200) : 0
        var layers: [PacketLayer] = [.ethernet()]
        if isIPv4 {
            layers.append(
                .ipv4(
                    from: from, to: to, options: [UInt8](repeating: 1, count: pick([0, 0, 4])), fragmentOffset: offset,
                    moreFragments: isFragment))
        } else {
            layers.append(.ipv6(from: from, to: to))
            if chance(0.2) { layers.append(.extensionHeader(60, bytes: 8)) }
            if isFragment { layers.append(.fragmentHeader(offset: offset, more: chance(0.5))) }
        }
        switch number(0...9) {
        case 0...4: layers.append(.tcp(from: servicePort(), to: number(1024...65535), flags: .ack))
        case 5...8: layers.append(.udp(from: servicePort(), to: number(1024...65535)))
        default: layers.append(isIPv4 ? .icmp() : .icmpv6())
        }
        let bytes = Packet.bytes(layers + [.payload(pick([0, 20, 1400]))]).dropFirst(14)
        return Array(bytes.prefix(pick([28, 36, 48, 60, 68, 100, 548])))
    }

    /// In the tunnel to `server`, or in what looks like it.
    private mutating func tunnel(_ inner: [PacketLayer], to server: Server, _ configuration: Configuration)
        -> [PacketLayer]
    {
        let bytes = Array(Packet.bytes([.ethernet()] + inner).dropFirst(14))
        let number: UInt8 = bytes[0] >> 4 == 4 ? 4 : 41
        let isIPv4 = server.address.isIPv4
        let isGUE = chance(0.85)
        let next: UInt8? = isGUE ? nil : chance(0.95) ? number : 47
        let outer: PacketLayer =
            isIPv4
            ? .ipv4(
                from: "192.0.2.9", to: server.address, next: next,
                options: [UInt8](repeating: 1, count: chance(0.03) ? 4 : 0),
                moreFragments: chance(0.03))
            : .ipv6(from: "2001:db8::9", to: server.address, next: next)
        guard isGUE else { return [outer, .payload(bytes)] }
        var header = GUEHeader(
            isIPv4: number == 4,
            hops: (0..<self.number(0...3)).map { _ in
                UInt16(chance(0.9) ? pick(configuration.servers).number : self.number(0...5000))
            }
        ).bytes
        if chance(0.5) { header[5] |= self.number(0...3) }
        if chance(0.1) { header[pick([0, 1, 2, 3, 4, 5])] = self.number(0...255) }
        if chance(0.1) { header = [0, number, 0, 0] }
        let port = chance(0.97) ? configuration.guePort : 53
        return [outer, .udp(from: self.number(49152...65535), to: port), .payload(header + bytes)]
    }

    /// What a server sends to the director: mostly an answer to a check, or one that did not go through the tunnel.
    private mutating func answer(_ configuration: Configuration, isIPv4: Bool) -> [PacketLayer] {
        let director = configuration.director
        let pool = configuration.pools.filter { $0.check != nil }.randomElement(using: &self)
        let servers = configuration.servers.filter {
            $0.address.isIPv4 == isIPv4 && (pool?.servers.contains($0.name) ?? true)
        }
        let server = servers.randomElement(using: &self)
        let (source, to) =
            isIPv4 ? (director.sourceV4!, "10.0.0.1" as IPAddress) : (director.sourceV6!, "2a00::1" as IPAddress)
        let from = chance(0.5) ? vip(configuration, isIPv4: isIPv4) : server?.address ?? to
        let checked = CheckTarget(
            pool: pool?.name ?? "", server: server?.name ?? "", address: server?.address ?? source)
        let ports = CheckPorts(configuration).way(to: checked).source?.ports ?? []
        let port = (chance(0.9) ? ports.randomElement(using: &self) : nil) ?? number(1...65535)
        let ip: PacketLayer =
            isIPv4
            ? .ipv4(
                from: from, to: source, options: [UInt8](repeating: 1, count: chance(0.05) ? 4 : 0),
                moreFragments: chance(0.05))
            : .ipv6(from: from, to: source)
        let answered = chance(0.9) ? pool?.check?.port ?? 80 : servicePort()
        return [ip] + (!isIPv4 && chance(0.05) ? [.extensionHeader(60, bytes: 8)] : [])
            + [
                chance(0.95)
                    ? .tcp(from: answered, to: port, flags: pick([[.syn, .ack], .ack, .rst]))
                    : .udp(from: answered, to: port),
                .payload(pick([0, 100, 1300])),
            ]
    }

    /// A frame: mostly a proper packet, sometimes cut off, padded or with wrong bytes.
    mutating func balancerFrame(_ configuration: Configuration) -> [UInt8] {
        var layers: [PacketLayer] = [.ethernet(type: chance(0.02) ? number(0...0xffff) : nil)]
        for _ in 0..<pick([0, 0, 0, 0, 1, 2, 3]) {
            layers.append(.vlan(number(1...4094), tag: pick([0x8100, 0x88a8])))
        }
        if chance(0.02) { return Packet.bytes(layers + [.arp(sender: "192.0.2.1", target: "192.0.2.2")]) }
        if chance(0.15) {
            let frame = Packet.bytes(layers + answer(configuration, isIPv4: chance(0.5)))
            return chance(0.1) ? Array(frame.prefix(number(14...frame.count))) : frame
        }
        let inner = packet(configuration, isIPv4: chance(0.5))
        let local = configuration.servers.first { $0.name == configuration.local }
        if let local, chance(0.5) {
            layers += tunnel(inner, to: local, configuration)
        } else {
            layers += inner
        }
        var frame = Packet.bytes(layers)
        if chance(0.1) { frame += [UInt8](repeating: 0, count: number(1...20)) }
        if chance(0.1) { frame = Array(frame.prefix(number(14...max(14, frame.count)))) }
        if chance(0.1) {
            for _ in 0..<number(1...3) { frame[number(12...min(frame.count, 120) - 1)] = number(0...255) }
        }
        return frame
    }
}
