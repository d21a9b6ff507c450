// SPDX-License-Identifier: Apache-2.0

import StageKit

@testable import L4LB

/// One frame on its way through the reference.
struct Handling {
    let balancer: ReferenceBalancer
    let frame: [UInt8]
    /// The length of Ethernet and its VLAN tags.
    let link: Int
    private var outcomes: [Outcome] = []

    init(balancer: ReferenceBalancer, frame: [UInt8], link: Int) {
        self.balancer = balancer
        self.frame = frame
        self.link = link
    }

    private var configuration: Configuration { balancer.configuration }

    /// What a packet belongs to.
    private struct Belonging {
        var service: Service
        var hash: UInt64
        /// Goes by its addresses, to one server.
        var isByPair: Bool
    }

    private func end(_ verdict: Verdict, _ outcome: Outcome, _ frame: [UInt8]? = nil) -> ReferenceBalancer.Result {
        let all = (outcomes + [outcome]).sorted { $0.rawValue < $1.rawValue }
        return .init(verdict: verdict, frame: frame ?? self.frame, outcomes: all)
    }

    // MARK: Director

    mutating func takeClient(_ window: Window, isIPv4: Bool) -> ReferenceBalancer.Result {
        guard let packet = ReferencePacket(window, isIPv4: isIPv4) else { return end(.next, .malformed) }
        if packet.isICMP, !packet.isFragment, packet.icmpType == (isIPv4 ? 8 : 128), configuration.icmpEcho,
            configuration.services.contains(where: { $0.vip.contains(packet.destination) })
        {
            return end(.tx, .echo, echoReply(packet))
        }
        guard let belonging = belonging(of: packet) else { return end(.next, .noService) }
        let pool = balancer.pool(of: belonging.service)
        let isUDP = belonging.service.protocol == .udp
        var way: [Int] = []
        if belonging.service.quic, !belonging.isByPair, !packet.isICMP, let server = quicServer(packet, pool) {
            outcomes.append(.quicID)
            way = [server]
        } else {
            let selection = balancer.selection(pool)
            let hops = pool.encapsulation == .gue && !belonging.isByPair ? 3 : 0
            way = selection.way(belonging.hash, isUDP: isUDP, hops: hops)
            noteSelection(selection, belonging.hash)
        }
        let overhead = configuration.overhead(of: pool)
        if way[0] == balancer.localNumber {
            return keep(packet, way: way, at: 0, belonging, innerStart: link) { _ in overhead }
        }
        let server = balancer.server(way[0])!
        if pool.encapsulation == .direct {
            var sent = frame
            sent.replaceSubrange(0..<12, with: server.mac!.bytes + frame[0..<6])
            return end(.tx, .forwarded, sent)
        }
        if packet.total + overhead > configuration.director.mtu { return tooBig(packet, overhead) }
        return end(
            .tx, .forwarded,
            sent(packet, to: server, by: pool.encapsulation, belonging.hash, hops: way.dropFirst(), next: 0))
    }

    /// Which of the outcomes that are counted on top come of it.
    private mutating func noteSelection(_ selection: ReferenceSelection, _ hash: UInt64) {
        let ranking = selection.table[Int(hash >> 32) & (selection.table.count - 1)]
        let owner = selection.way(hash, isUDP: false, hops: 0)[0]
        if !ranking.contains(owner) {
            outcomes.append(.probed)
        } else if !ranking.contains(where: { selection.words[$0]!.state.rawValue < 2 }) {
            outcomes.append(.allDown)
        }
    }

    private mutating func belonging(of packet: ReferencePacket) -> Belonging? {
        var (source, destination, ports) = (packet.source, packet.destination, packet.ports)
        var (number, isByPair) = (packet.protocol, packet.isFragment)
        if packet.isICMP {
            let errors = packet.isIPv4 ? [3, 11, 12] : [1, 2, 3, 4]
            var window = packet.transport
            window.start += 8
            guard !packet.isFragment, errors.contains(packet.icmpType),
                let quoted = ReferencePacket(window, isIPv4: packet.isIPv4, isQuoted: true), !quoted.isICMP,
                quoted.source == destination
            else { return nil }
            source = quoted.destination
            ports = quoted.ports.map { ($0.destination, $0.source) }
            (number, isByPair) = (quoted.protocol, quoted.isLaterFragment)
        }
        // What has neither ports nor is a fragment belongs to no service, having another protocol.
        guard isByPair || ports != nil,
            let service = balancer.service(destination, number, port: isByPair ? nil : ports!.destination)
        else { return nil }
        if packet.isICMP { outcomes.append(.icmpError) }
        if isByPair { outcomes.append(.fragment) }
        let hash = ReferenceHash.flow(
            source, destination, ports: isByPair ? nil : ports, protocol: number, balancer.pool(of: service).hash,
            seed: configuration.director.hashSeed)
        return Belonging(service: service, hash: hash, isByPair: isByPair)
    }

    private func quicServer(_ packet: ReferencePacket, _ pool: Pool) -> Int? {
        let data = Array(packet.transport.bytes(0, packet.transport.count).dropFirst(8))
        var id = data.dropFirst()
        if let first = data.first, first & 0x80 != 0 {
            guard data.count >= 6 else { return nil }
            switch Array(data[1..<5]) {
            case [0, 0, 0, 1]: guard first & 0x30 == 0x20 else { return nil }
            case [0x6b, 0x33, 0x43, 0xcf]: guard first & 0x30 == 0x30 else { return nil }
            default: return nil
            }
            guard data[5] >= 4 else { return nil }
            id = data.dropFirst(6)
        }
        guard id.count >= 4 else { return nil }
        let bytes = Array(id)
        let number = Int(bytes[1]) << 8 | Int(bytes[2])
        guard bytes[0] >> 5 == configuration.quicConfig, let server = balancer.server(number),
            pool.servers.contains(server.name), balancer.words[number]!.state != .down
        else { return nil }
        return number
    }

    // MARK: Redirector

    mutating func takeTunnel(_ tunnel: ReferenceTunnel) -> ReferenceBalancer.Result {
        guard let packet = ReferencePacket(tunnel.inner, isIPv4: tunnel.innerIsIPv4),
            !(packet.isICMP && packet.isFragment), let belonging = belonging(of: packet)
        else { return end(.next, .foreign) }
        let way = [balancer.localNumber!] + tunnel.hops
        return keep(packet, way: way, at: tunnel.next, belonging, innerStart: link + tunnel.length, tunnel) { _ in 0 }
    }

    /// Of a packet for this server: sent on if there is somebody to ask, since no socket is known.
    private func keep(
        _ packet: ReferencePacket, way: [Int], at place: Int, _ belonging: Belonging, innerStart: Int,
        _ tunnel: ReferenceTunnel? = nil, overhead: (Server) -> Int
    ) -> ReferenceBalancer.Result {
        var kept = Array(frame[..<link])
        kept.replaceSubrange(link - 2..<link, with: packet.isIPv4 ? [0x08, 0x00] : [0x86, 0xdd])
        kept += frame[innerStart...]
        if packet.tcpFlags & 0x12 == 0x02 { return end(.next, .keptSYN, kept) }
        let number = place + 1 < min(way.count, 4) ? way[place + 1] : 0
        guard number != 0, number != balancer.localNumber, let server = balancer.server(number), !belonging.isByPair,
            tunnel == nil || server.address.isIPv4 == tunnel!.isIPv4
        else { return end(.next, .keptLast, kept) }
        let overhead = overhead(server)
        if packet.total + overhead > configuration.director.mtu, tunnel == nil { return tooBig(packet, overhead) }
        let hops = way.dropFirst()
        return end(
            .tx, .onward,
            sent(
                packet, to: server, by: .gue, belonging.hash, hops: hops, next: place + 1, innerStart: innerStart))
    }

    // MARK: Frames

    /// Back to whoever sent the frame, in its VLAN.
    private func back(_ isIPv4: Bool) -> [UInt8] {
        frame[6..<12] + frame[0..<6] + frame[12..<link - 2] + (isIPv4 ? [0x08, 0x00] : [0x86, 0xdd])
    }

    private func big(_ number: Int) -> [UInt8] { [UInt8(number >> 8 & 255), UInt8(number & 255)] }

    private func ipv4(_ trafficClass: Int, _ total: Int, _ fragment: Int, _ number: UInt8, _ ends: [UInt8]) -> [UInt8] {
        var header = [0x45, UInt8(trafficClass)] + big(total) + [0, 0] + big(fragment) + [64, number, 0, 0] + ends
        header.replaceSubrange(10..<12, with: big(Int(internetChecksum(header))))
        return header
    }

    private func sent(
        _ packet: ReferencePacket, to server: Server, by encapsulation: Pool.Encapsulation, _ hash: UInt64,
        hops: ArraySlice<Int>, next: Int, innerStart: Int? = nil
    ) -> [UInt8] {
        let isIPv4 = server.address.isIPv4
        var tunnel: [UInt8] = []
        if encapsulation == .gue {
            let port = 0xc000 | Int(hash >> 50)
            tunnel = big(port) + big(Int(configuration.guePort)) + big(20 + packet.total) + [0, 0]
            tunnel += [2, packet.isIPv4 ? 4 : 41, 0, 0, 0x5c, 0x10 | UInt8(next)]
            for place in 0..<3 { tunnel += place < hops.count ? big(hops[hops.startIndex + place]) : [0, 0] }
        }
        let number: UInt8 = encapsulation == .gue ? 17 : packet.isIPv4 ? 4 : 41
        let length = tunnel.count + packet.total
        var outer: [UInt8]
        if isIPv4 {
            let source = configuration.director.sourceV4!
            outer = ipv4(packet.trafficClass, 20 + length, 0x4000, number, source.bytes + server.address.bytes)
        } else {
            let source = configuration.director.sourceV6!
            let label = Int(hash >> 44)
            outer = big(0x6000 | packet.trafficClass << 4 | label >> 16) + big(label & 0xffff) + big(length)
            outer += [number, 64] + source.bytes + server.address.bytes
        }
        return back(isIPv4) + outer + tunnel + frame[(innerStart ?? link)...]
    }

    private func tooBig(_ packet: ReferencePacket, _ overhead: Int) -> ReferenceBalancer.Result {
        guard packet.mayNotBeFragmented, !packet.isICMP else { return end(.drop, .tooBigSilent) }
        guard configuration.director.tooBigRate > 0 else { return end(.drop, .tooBigLimited) }
        let mtu = [0, 0] + big(configuration.director.mtu - overhead)
        let quote = frame[link..<link + 128]
        let ends = packet.destination.bytes + packet.source.bytes
        var icmp = packet.isIPv4 ? [3, 4, 0, 0] + mtu : [2, 0, 0, 0] + mtu
        icmp += quote
        let pseudo = packet.isIPv4 ? [] : ends + [0, 0, 0, UInt8(icmp.count), 0, 0, 0, 58]
        icmp.replaceSubrange(2..<4, with: big(Int(internetChecksum(pseudo + icmp))))
        let header =
            packet.isIPv4
            ? ipv4(0, 20 + icmp.count, 0, 1, ends)
            : [0x60, 0, 0, 0] + big(icmp.count) + [58, 64] + ends
        return end(.tx, .tooBig, back(packet.isIPv4) + header + icmp)
    }

    private func echoReply(_ packet: ReferencePacket) -> [UInt8] {
        var reply = back(packet.isIPv4) + frame[link...]
        func after(_ checksum: Int, _ before: Int, _ now: Int) -> [UInt8] {
            var sum = (~checksum & 0xffff) + (~before & 0xffff) + now
            while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
            return big(~sum & 0xffff)
        }
        func number(_ offset: Int) -> Int { Int(frame[offset]) << 8 | Int(frame[offset + 1]) }
        let icmp = packet.transport.start
        reply[icmp] = packet.isIPv4 ? 0 : 129
        reply.replaceSubrange(
            icmp + 2..<icmp + 4,
            with: after(number(icmp + 2), number(icmp), number(icmp) & 0xff | Int(reply[icmp]) << 8))
        let ends = packet.destination.bytes + packet.source.bytes
        reply.replaceSubrange(
            link + (packet.isIPv4 ? 12 : 8)..<link + (packet.isIPv4 ? 20 : 40), with: ends)
        if packet.isIPv4 {
            reply[link + 8] = 64
            reply.replaceSubrange(
                link + 10..<link + 12,
                with: after(number(link + 10), number(link + 8), number(link + 8) & 0xff | 64 << 8))
        } else {
            reply[link + 7] = 64
        }
        return reply
    }
}
