// SPDX-License-Identifier: Apache-2.0

import StageKit

@testable import L4LB

/// What becomes of a frame, said in plain Swift, to hold the program against. It sends back to whoever sent the frame
/// (`route: back`), and knows no sockets.
struct ReferenceBalancer {
    let configuration: Configuration
    let words: [Int: ReferenceSelection.Word]
    private let tables: [String: [[Int]]]
    private let checks: ReferenceChecks

    struct Result: Equatable {
        var verdict: Verdict
        var frame: [UInt8]
        /// What is counted, in order of ``Outcome``.
        var outcomes: [Outcome] = []
    }

    init(_ configuration: Configuration, words: [Int: ReferenceSelection.Word]) {
        self.configuration = configuration
        self.words = words
        checks = ReferenceChecks(configuration)
        let servers = configuration.servers
        tables = Dictionary(
            uniqueKeysWithValues: configuration.pools.map { pool in
                let ranker = Ranker(pool.servers.map { name in servers.first { $0.name == name }! })
                return (pool.name, (0..<pool.entries).map { ranker.ranking(of: $0).map(Int.init) })
            })
    }

    private var local: Server? { configuration.servers.first { $0.name == configuration.local } }

    func take(_ frame: [UInt8]) -> Result {
        let untouched = Result(verdict: .next, frame: frame)
        guard let link = ReferenceLink(frame), [0x0800, 0x86dd].contains(link.type) else { return untouched }
        let isIPv4 = link.type == 0x0800
        let packet = Window(frame: frame, start: link.length, end: frame.count)
        guard packet.count >= (isIPv4 ? 20 : 40) else { return untouched }
        let destination = packet.address(isIPv4 ? 16 : 24, isIPv4: isIPv4)
        if configuration.director.source(for: destination) == destination,
            let answered = checks.take(packet, isIPv4: isIPv4, frame: frame)
        {
            return answered
        }
        var handling = Handling(balancer: self, frame: frame, link: link.length)
        if let local, local.address == destination {
            guard let tunnel = ReferenceTunnel(packet, isIPv4: isIPv4, port: configuration.guePort) else {
                return untouched
            }
            return handling.takeTunnel(tunnel)
        }
        guard !candidates(destination).isEmpty else { return untouched }
        return handling.takeClient(packet, isIPv4: isIPv4)
    }

    /// The lengths of prefixes under which an address may be a VIP: the filter may be wrong about what is none.
    func candidates(_ address: IPAddress) -> Set<Int> {
        func bit(_ prefix: IPPrefix) -> UInt64 {
            let bytes = prefix.address.mapped
            return ReferenceHash.mix([
                UInt64(prefix.length + (prefix.isIPv4 ? 96 : 0)), ReferenceHash.word(bytes.prefix(8)),
                ReferenceHash.word(bytes.suffix(8)),
            ]) >> 50
        }
        let set = Set(configuration.services.map { bit($0.vip) })
        let lengths = Set(configuration.services.map(\.vip).filter { $0.isIPv4 == address.isIPv4 }.map(\.length))
        return lengths.filter { set.contains(bit(IPPrefix(address, length: $0))) }
    }

    /// - Parameter port: Nil for what goes by its addresses.
    func service(_ destination: IPAddress, _ number: Int, port: Int?) -> Service? {
        let there = configuration.services.filter {
            $0.vip.contains(destination) && Int($0.protocol.number) == number
        }
        guard let port else { return there.first }
        return there.first { $0.ports.contains(UInt16(port)) }
    }

    func pool(of service: Service) -> Pool { configuration.pools.first { $0.name == service.pool }! }

    func server(_ number: Int) -> Server? { configuration.servers.first { $0.number == number } }

    func selection(_ pool: Pool) -> ReferenceSelection {
        ReferenceSelection(table: tables[pool.name]!, words: words)
    }

    var localNumber: Int? { local?.number }
}

/// The outer headers of a packet to this server.
struct ReferenceTunnel {
    /// Of all outer headers.
    var length: Int
    var isIPv4: Bool
    var inner: Window
    var innerIsIPv4: Bool
    /// The servers after the first, and which of them is to be asked next.
    var hops: [Int]
    var next: Int

    /// Nil for what is no tunnel's packet.
    init?(_ packet: Window, isIPv4: Bool, port: UInt16) {
        let header = isIPv4 ? 20 : 40
        let left: Int
        if isIPv4 {
            let total = packet.number16(2)
            guard packet[0] == 0x45, total >= 20, total <= packet.count, packet.number16(6) & 0x3fff == 0 else {
                return nil
            }
            left = total - 20
        } else {
            left = packet.number16(4)
            guard packet[0] >> 4 == 6, left <= packet.count - 40 else { return nil }
        }
        var announced = packet[isIPv4 ? 9 : 6]
        length = header
        hops = []
        next = 0
        if announced == 17 {
            guard left >= 12, packet.number16(header + 2) == Int(port) else { return nil }
            let gue = 4 + (packet[header + 8] & 31) * 4
            let udp = packet.number16(header + 4)
            guard packet[header + 8] >> 5 == 0, udp <= left, udp >= 8 + gue else { return nil }
            announced = packet[header + 9]
            length += 8 + gue
            if gue == 12, packet.count >= length, packet.bytes(header + 10, 3) == [0, 0, 0x5c],
                (0x10...0x13).contains(packet[header + 13])
            {
                next = packet[header + 13] & 15
                hops = (0..<3).map { packet.number16(header + 14 + 2 * $0) }
            }
        }
        guard announced == 4 || announced == 41 else { return nil }
        self.isIPv4 = isIPv4
        innerIsIPv4 = announced == 4
        inner = packet
        inner.start += length
        inner.end = packet.start + header + left
    }

    var nextHop: Int { next < hops.count ? hops[next] : 0 }
}
