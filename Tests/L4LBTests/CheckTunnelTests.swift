// SPDX-License-Identifier: Apache-2.0

import StageKit
import StageTesting
import Testing

@testable import L4LB

/// The program that sends checks through the tunnel, packet by packet.
@Suite("Checks on their way out", .enabled(if: Lab.isAvailable, "needs root, to load programs"))
struct CheckTunnelTests {
    private struct Site {
        let stage: StageUnderTest
        let isIPv4: Bool
        /// One of each server.
        let ports: [UInt16]
        var source: IPAddress { isIPv4 ? "192.0.2.10" : "2001:db8::10" }
        var servers: [IPAddress] { isIPv4 ? ["192.0.2.11", "192.0.2.12"] : ["2001:db8::11", "2001:db8::12"] }
        var vip: IPAddress { isIPv4 ? "198.51.100.10" : "2001:db8:1::10" }
        var outer: Int { isIPv4 ? 40 : 60 }

        init(isIPv4: Bool) throws {
            self.isIPv4 = isIPv4
            var configuration = Configuration.sample(servers: 2)
            configuration.director.checkPorts = PortRange(61000, 61003)
            configuration.pools[0].check = HealthCheck(.http, port: 80)
            configuration.pools[0].check?.to = .vip
            if !isIPv4 {
                configuration.servers[0].address = "2001:db8::11"
                configuration.servers[1].address = "2001:db8::12"
            }
            let checks = CheckPorts(configuration)
            ports = configuration.servers.map {
                checks.way(to: CheckTarget(pool: "web", server: $0.name, address: $0.address)).source!.ports[0]
            }
            stage = try StageUnderTest(
                configuration.checksPlan(), at: .tcEgress, objects: StageUnderTest.objects(of: "l4lb-1_1"))
        }

        func segment(
            from: IPAddress? = nil, _ port: UInt16, to: IPAddress, _ service: UInt16 = 80, payload: Int = 33,
            more: [PacketLayer] = []
        ) -> [UInt8] {
            let from = from ?? source
            let ip: PacketLayer = isIPv4 ? .ipv4(from: from, to: to) : .ipv6(from: from, to: to)
            return Packet.bytes(
                [.ethernet(), ip] + more + [.tcp(from: port, to: service, flags: .ack), .payload(payload)])
        }

        /// Whether all of a TCP packet's checksums are right.
        func isSound(_ packet: ArraySlice<UInt8>) -> Bool {
            let packet = Array(packet)
            let (header, ends) = isIPv4 ? (20, packet[12..<20]) : (40, packet[8..<40])
            let count = packet.count - header
            let pseudo = ends + [0, 0, UInt8(count >> 8), UInt8(count & 255), 0, 0, 0, 6]
            return internetChecksum(Array(pseudo) + packet[header...]) == 0
                && (!isIPv4 || internetChecksum(packet[..<header]) == 0)
        }
    }

    @Test(arguments: [true, false], [0, 33, 1200])
    func goToTheVIPThroughTheTunnel(isIPv4: Bool, payload: Int) throws {
        let site = try Site(isIPv4: isIPv4)
        for (place, server) in site.servers.enumerated() {
            let sent = site.segment(site.ports[place], to: server, payload: payload)
            #expect(site.isSound(sent[14...]))
            let outcome = try site.stage.run(sent)
            let frame = outcome.packet
            #expect(outcome.verdict == .next && frame.count == sent.count + site.outer)
            #expect(frame.prefix(14) == sent.prefix(14))
            // To the server, and nobody is to be asked after it.
            let outer = Window(frame: frame, start: 14, end: frame.count)
            let tunnel = try #require(ReferenceTunnel(outer, isIPv4: isIPv4, port: 6080))
            #expect(tunnel.length == site.outer && tunnel.innerIsIPv4 == isIPv4 && tunnel.hops == [0, 0, 0])
            #expect(outer.address(isIPv4 ? 12 : 8, isIPv4: isIPv4) == site.source)
            #expect(outer.address(isIPv4 ? 16 : 24, isIPv4: isIPv4) == server)
            #expect(!isIPv4 || internetChecksum(outer.bytes(0, 20)) == 0)
            // What is inside is what was sent, but for the address it is to.
            let inner = frame[(14 + site.outer)...]
            #expect(site.isSound(inner))
            #expect(
                Array(inner)
                    == Array(site.segment(site.ports[place], to: site.vip, payload: payload).dropFirst(14)))
        }
        #expect(try site.stage.counter("checks", "tunnelled") == 2)
        #expect(try site.stage.counter("checks", "lost") == 0)
    }

    @Test(arguments: [true, false])
    func allElseGoesItsWay(isIPv4: Bool) throws {
        let site = try Site(isIPv4: isIPv4)
        let (server, other, port) = (site.servers[0], site.servers[1], site.ports[0])
        let free = try #require((61000...61003).first { !site.ports.contains($0) })
        let frames = [
            site.segment(60999, to: server), site.segment(61004, to: server), site.segment(free, to: server),
            site.segment(port, to: other),
            site.segment(port, to: site.vip), site.segment(port, to: server, 443),
            site.segment(from: other, port, to: server),
            Array(site.segment(port, to: server).prefix(isIPv4 ? 50 : 70)),
            Packet.bytes(
                .ethernet(), isIPv4 ? .ipv4(from: site.source, to: server) : .ipv6(from: site.source, to: server),
                .udp(from: port, to: 80), .payload(33)),
            Packet.bytes([.ethernet(), .arp(sender: "192.0.2.1", target: "192.0.2.2")]),
        ]
        for (index, frame) in frames.enumerated() {
            let outcome = try site.stage.run(frame)
            #expect(outcome.verdict == .next && outcome.packet == frame, "\(index)")
        }
        #expect(try site.stage.counter("checks", "tunnelled") == 0)
    }

    @Test func doesNothingWithoutSuchChecks() throws {
        let stage = try StageUnderTest(
            Configuration.sample().checksPlan(), at: .tcEgress, objects: StageUnderTest.objects(of: "l4lb-1_0"))
        let frame = Packet.bytes(
            .ethernet(), .ipv4(from: "192.0.2.10", to: "192.0.2.11"), .tcp(from: 0, to: 0), .payload(33))
        let outcome = try stage.run(frame)
        #expect(outcome.verdict == .next && outcome.packet == frame)
    }
}
