// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing

@testable import L4LB

/// A director with a router on one link and a server on another, whose stage goes by the kernel's routes.
private final class RouteSite {
    static let router = MACAddress([2, 0, 0, 0, 1, 2])
    static let (outside, inside) = (MACAddress([2, 0, 0, 0, 1, 1]), MACAddress([2, 0, 0, 0, 2, 1]))
    static let server = MACAddress([2, 0, 0, 0, 2, 2])

    private let lab: Lab
    private let stage: StageUnderTest
    private let isIPv4: Bool

    /// - Parameter address: Of the only server.
    init(_ lab: Lab, server address: IPAddress, forwards: Bool = true) throws {
        self.lab = lab
        isIPv4 = address.isIPv4
        try lab.addNamespace("others")
        try lab.addVeth(
            VethEnd("edge0", addresses: ["10.9.0.1/24", "fd00:9::1/64"], mac: "02:00:00:00:01:01"),
            VethEnd("router0", netns: "others", addresses: ["10.9.0.2/24", "fd00:9::2/64"], mac: "02:00:00:00:01:02"))
        try lab.addVeth(
            VethEnd("inside0", addresses: ["10.8.0.1/24", "fd00:8::1/64"], mac: "02:00:00:00:02:01"),
            VethEnd("server0", netns: "others", addresses: ["10.8.0.2/24", "fd00:8::2/64"], mac: "02:00:00:00:02:02"))
        try lab.ip(["route add 10.7.0.0/24 via 10.9.0.2", "route add fd00:7::/64 via fd00:9::2"])
        for key in ["net.ipv4.conf.edge0.forwarding", "net.ipv6.conf.edge0.forwarding"] {
            try lab.check(["sysctl", "-qw", "\(key)=\(forwards ? 1 : 0)"])
        }
        var configuration = Configuration.sample(servers: 1, route: .kernel)
        configuration.servers[0].address = address
        stage = try StageUnderTest(configuration.plan(), objects: StageUnderTest.objects(of: "l4lb-1_0"))
    }

    struct Fate: Equatable {
        var verdict: Verdict?
        var destination: MACAddress
        var source: MACAddress
    }

    /// Of a packet to the VIP that the router sent, twice: the second finds the way where the first left it.
    func fates(vlan: Bool = false) throws -> [Fate] {
        let packet = Packet.bytes(
            [.ethernet(from: Self.router, to: Self.outside)] + (vlan ? [.vlan(7)] : []) + [
                .ipv4(from: "203.0.113.7", to: "198.51.100.10"), .tcp(from: 40_000, to: 80), .payload(20),
            ])
        let interface = try lab.interfaceIndex("edge0")
        return try (0..<2).map { _ in
            let outcome = try stage.run(packet, interface: interface)
            #expect(outcome.packet.count == packet.count + (isIPv4 ? 40 : 60))
            return Fate(
                verdict: outcome.verdict, destination: MACAddress(Array(outcome.packet[0..<6])),
                source: MACAddress(Array(outcome.packet[6..<12])))
        }
    }

    func unrouted() throws -> UInt64? { try stage.counter("verdicts", "unrouted") }
}

@Suite("Where encapsulated packets go", .enabled(if: Lab.isAvailable, "needs root, for network namespaces and BPF"))
struct RouteTests {
    @Test(arguments: ["10.8.0.2", "fd00:8::2"] as [IPAddress])
    func toANeighbourOnAnotherLink(server: IPAddress) async throws {
        try await Lab.run { lab in
            let site = try RouteSite(lab, server: server)
            let expected = RouteSite.Fate(
                verdict: .redirect, destination: RouteSite.server, source: RouteSite.inside)
            #expect(try site.fates() == [expected, expected])
            #expect(try site.unrouted() == 0)
        }
    }

    @Test(arguments: ["10.7.0.99", "fd00:7::99", "10.9.0.2", "fd00:9::2"] as [IPAddress])
    func backByTheLinkTheyCameBy(server: IPAddress) async throws {
        try await Lab.run { lab in
            let site = try RouteSite(lab, server: server)
            let expected = RouteSite.Fate(verdict: .tx, destination: RouteSite.router, source: RouteSite.outside)
            #expect(try site.fates() == [expected, expected])
        }
    }

    /// For the kernel to find the neighbour: addressed to this machine, as it came.
    @Test(arguments: ["10.8.0.77", "fd00:8::77"] as [IPAddress])
    func toTheKernelWithoutANeighbour(server: IPAddress) async throws {
        try await Lab.run { lab in
            let site = try RouteSite(lab, server: server)
            let expected = RouteSite.Fate(verdict: .next, destination: RouteSite.outside, source: RouteSite.router)
            #expect(try site.fates() == [expected, expected])
            #expect(try site.unrouted() == 2)
        }
    }

    @Test func toTheKernelThatDoesNotForward() async throws {
        try await Lab.run { lab in
            let site = try RouteSite(lab, server: "10.8.0.2", forwards: false)
            #expect(try site.fates().map(\.verdict) == [.next, .next])
            #expect(try site.unrouted() == 2)
        }
    }

    @Test func backInTheirVLAN() async throws {
        try await Lab.run { lab in
            let site = try RouteSite(lab, server: "10.8.0.2")
            let expected = RouteSite.Fate(verdict: .tx, destination: RouteSite.router, source: RouteSite.outside)
            #expect(try site.fates(vlan: true) == [expected, expected])
        }
    }

    /// What the kernel said is asked for again before long.
    @Test func notByARouteThatIsGone() async throws {
        try await Lab.run { lab in
            let site = try RouteSite(lab, server: "10.8.0.2")
            #expect(try site.fates().map(\.verdict) == [.redirect, .redirect])
            try lab.ip(["neigh del 10.8.0.2 dev inside0"])
            try lab.until("the route is asked for again") { try site.fates().map(\.verdict) == [.next, .next] }
        }
    }
}
