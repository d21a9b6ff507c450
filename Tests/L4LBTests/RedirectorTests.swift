// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing

@testable import L4LB

/// What a server keeps and what it asks others about, by real sockets. The stage is that of edge1; edge2 drains.
private final class RedirectorSite {
    static let web: UInt16 = 80
    static let dns: UInt16 = 53
    static let port: UInt16 = 40_000

    let stage: StageUnderTest
    let sockets = LocalSockets()
    let isIPv4: Bool
    let client: IPAddress
    let vip: IPAddress

    init(_ lab: Lab, isIPv4: Bool) throws {
        self.isIPv4 = isIPv4
        client = isIPv4 ? "10.55.0.1" : "2a00:55::1"
        vip = isIPv4 ? "198.51.100.10" : "2001:db8:1::10"
        try lab.ip([client, vip].map { "addr add \($0)/\($0.bytes.count * 8) dev lo\(isIPv4 ? "" : " nodad")" })
        try lab.check(["sysctl", "-qw", "net.ipv4.tcp_syncookies=2"])
        var configuration = Configuration.sample(servers: 2)
        configuration.local = "edge1"
        stage = try StageUnderTest(configuration.plan(), objects: StageUnderTest.objects(of: "l4lb-1_0"))
        var word = ServerWord(tag: configuration.servers[1].tag)
        word.wanted = .draining
        let entry = MapEntry(key: Bytes(number: UInt32(2)), value: Bytes(number: word.raw))
        try stage.make(StageChange(updates: [MapUpdate(map: "servers_live", entries: [entry])], summary: ["drain"]))
    }

    func packet(_ layers: PacketLayer..., fromServer: Bool = false) -> [UInt8] {
        let (from, to) = fromServer ? (vip, client) : (client, vip)
        let ip: PacketLayer = isIPv4 ? .ipv4(from: from, to: to) : .ipv6(from: from, to: to)
        return Packet.bytes([.ethernet(), ip] + layers)
    }

    func segment(from port: UInt16, flags: TCPFlags, acknowledging number: UInt32 = 0) -> [UInt8] {
        var frame = packet(.tcp(from: port, to: Self.web, flags: flags))
        let tcp = 14 + (isIPv4 ? 20 : 40)
        // Nobody looks at the checksum here.
        frame.replaceSubrange(tcp + 8..<tcp + 12, with: withUnsafeBytes(of: number.bigEndian) { Array($0) })
        return frame
    }

    /// In the tunnel to edge1, with these servers behind it.
    func tunnelled(_ frame: [UInt8], hops: [UInt16]) -> [UInt8] {
        Packet.bytes(
            .ethernet(), .ipv4(from: "192.0.2.10", to: "192.0.2.11"), .udp(from: 50_000, to: 6080),
            .payload(GUEHeader(isIPv4: isIPv4, hops: hops).bytes + frame.dropFirst(14)))
    }

    enum Fate: Equatable {
        case kept(Outcome)
        case onward
        case other(Verdict?)
    }

    /// What becomes of a packet from the tunnel; also of the same as the director's own share, where that is another.
    func fate(_ frame: [UInt8], hops: [UInt16] = [2], inTunnel: Bool = true) throws -> Fate {
        let before = try Outcome.allCases.map { try stage.counter("verdicts", $0.label)! }
        let outcome = try stage.run(inTunnel ? tunnelled(frame, hops: hops) : frame)
        let after = try Outcome.allCases.map { try stage.counter("verdicts", $0.label)! }
        let counted = Outcome.allCases.filter { after[$0.rawValue] > before[$0.rawValue] && $0.rawValue > 5 }
        guard counted.count == 1 else { return .other(outcome.verdict) }
        if outcome.verdict == .next, outcome.packet == frame { return .kept(counted[0]) }
        let sent = Window(frame: outcome.packet, start: 14, end: outcome.packet.count)
        guard outcome.verdict == .tx, counted == [.onward], sent.address(16, isIPv4: true) == "192.0.2.12",
            Array(outcome.packet.dropFirst(14 + 40)) == Array(frame.dropFirst(14))
        else { return .other(outcome.verdict) }
        return .onward
    }
}

@Suite("The redirector and real sockets", .enabled(if: Lab.isAvailable, "needs root, for network namespaces and BPF"))
struct RedirectorTests {
    private func with(isIPv4: Bool, _ body: @escaping @Sendable (RedirectorSite) throws -> Void) async throws {
        try await Lab.run { lab in try body(RedirectorSite(lab, isIPv4: isIPv4)) }
    }

    @Test(arguments: [true, false], [true, false])
    func keepsEstablishedConnections(isIPv4: Bool, inTunnel: Bool) async throws {
        try await with(isIPv4: isIPv4) { site throws in
            try site.sockets.listen("\(site.vip)", port: RedirectorSite.web)
            let port = try site.sockets.connect(from: "\(site.client)", to: "\(site.vip)", port: RedirectorSite.web)
            func fate(_ frame: [UInt8]) throws -> RedirectorSite.Fate { try site.fate(frame, inTunnel: inTunnel) }
            #expect(try fate(site.segment(from: port, flags: .ack)) == .kept(.keptEstablished))
            #expect(try fate(site.segment(from: port, flags: [.fin, .ack])) == .kept(.keptEstablished))
            // A port nobody is connected from: only a listener is there, and it sent no cookie.
            #expect(try fate(site.segment(from: port ^ 1, flags: .ack)) == .onward)
            #expect(try fate(site.segment(from: port ^ 1, flags: .rst)) == .onward)
            #expect(try fate(site.segment(from: port ^ 1, flags: .syn)) == .kept(.keptSYN))
            #expect(try fate(site.segment(from: port ^ 1, flags: [.syn, .ack])) == .onward)
        }
    }

    @Test(arguments: [true, false])
    func lastHopKeepsWhatNobodyKnows(isIPv4: Bool) async throws {
        try await with(isIPv4: isIPv4) { site throws in
            let segment = site.segment(from: RedirectorSite.port, flags: .ack)
            #expect(try site.fate(segment, hops: []) == .kept(.keptLast))
            // Not to itself, nor to who is no server.
            #expect(try site.fate(segment, hops: [1]) == .kept(.keptLast))
            #expect(try site.fate(segment, hops: [77]) == .kept(.keptLast))
            #expect(try site.fate(segment, hops: [2]) == .onward)
        }
    }

    @Test(arguments: [true, false], [true, false])
    func keepsWhatACookieVouchesFor(isIPv4: Bool, inTunnel: Bool) async throws {
        try await with(isIPv4: isIPv4) { site throws in
            try site.sockets.listen("\(site.vip)", port: RedirectorSite.web)
            let syn = site.packet(.tcp(from: RedirectorSite.port, to: RedirectorSite.web))
            let answer = try site.sockets.answer(
                to: Array(syn.dropFirst(14 + (isIPv4 ? 20 : 40))), from: "\(site.client)", to: "\(site.vip)")
            #expect(answer[13] & 0x12 == 0x12)
            let cookie = answer[4..<8].reduce(0) { $0 << 8 | UInt32($1) } &+ 1
            func acknowledge(_ number: UInt32) -> [UInt8] {
                // The SYN had sequence number 1.
                var frame = site.segment(from: RedirectorSite.port, flags: .ack, acknowledging: number)
                frame[14 + (isIPv4 ? 20 : 40) + 7] = 2
                return frame
            }
            #expect(try site.fate(acknowledge(cookie), inTunnel: inTunnel) == .kept(.keptCookie))
            #expect(try site.fate(acknowledge(cookie &+ 0x1234_5678), inTunnel: inTunnel) == .onward)
        }
    }

    @Test(arguments: [true, false])
    func keepsConnectedUDP(isIPv4: Bool) async throws {
        try await with(isIPv4: isIPv4) { site throws in
            func datagram(_ port: UInt16) -> [UInt8] {
                site.packet(.udp(from: port, to: RedirectorSite.dns), .payload(8))
            }
            #expect(try site.fate(datagram(1001)) == .onward)
            try site.sockets.bindUDP("\(site.vip)", port: RedirectorSite.dns)
            #expect(try site.fate(datagram(1001)) == .onward)
            #expect(try site.fate(datagram(1001), hops: []) == .kept(.keptLast))
            try site.sockets.bindUDP("\(site.vip)", port: RedirectorSite.dns, peer: ("\(site.client)", 1001))
            #expect(try site.fate(datagram(1001)) == .kept(.keptConnected))
            #expect(try site.fate(datagram(1002)) == .onward)
        }
    }

    /// Packet too big above all: it belongs where the connection is.
    @Test(arguments: [true, false], [true, false])
    func errorsFollowTheConnectionThatTheyQuote(isIPv4: Bool, inTunnel: Bool) async throws {
        try await with(isIPv4: isIPv4) { site throws in
            try site.sockets.listen("\(site.vip)", port: RedirectorSite.web)
            let port = try site.sockets.connect(from: "\(site.client)", to: "\(site.vip)", port: RedirectorSite.web)
            func tooBig(_ port: UInt16) -> [UInt8] {
                let quoted = site.packet(.tcp(from: RedirectorSite.web, to: port, flags: .ack), fromServer: true)
                return site.packet(
                    isIPv4 ? .icmp(type: 3, code: 4) : .icmpv6(type: 2), .payload(Array(quoted.dropFirst(14))))
            }
            #expect(try site.fate(tooBig(port), inTunnel: inTunnel) == .kept(.keptEstablished))
            #expect(try site.fate(tooBig(port ^ 1), inTunnel: inTunnel) == .onward)
        }
    }
}
