// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing
import UDPRateLimit

@Suite("Packets", .enabled(if: getuid() == 0, mayLoadPrograms))
struct PacketTests {
    private func stage(_ hook: HookKind, ports: PortSet? = nil, _ change: (inout Policy) -> Void = { _ in }) throws
        -> StageUnderTest
    {
        var policy = Policy(
            name: "dns", destinations: try prefixes("10.0.0.0/24", "2001:db8::/120"), perAddress: slow(1))
        change(&policy)
        return try .udp(Configuration(ports: ports, policies: [policy]), at: hook)
    }

    /// Whether it is limited: of two packets the second is over.
    private func isLimited(_ packet: [UInt8], _ stage: StageUnderTest) throws -> Bool {
        try stage.passed(packet, of: 20) < 20
    }

    private static let v4 = PacketLayer.ipv4(from: "192.0.2.1", to: "10.0.0.1")
    private static let v6 = PacketLayer.ipv6(from: "2001:db8:f::1", to: "2001:db8::1")
    private static func v6(_ next: UInt8) -> PacketLayer {
        .ipv6(from: "2001:db8:f::1", to: "2001:db8::1", next: next)
    }

    @Test(arguments: hooks, [0, 1, 31, 32, 512, 1400]) func ofAllSizes(hook: HookKind, payload: Int) throws {
        for address in ["10.0.0.1", "2001:db8::1"] as [IPAddress] {
            let stage = try stage(hook) { $0.perAddress = slow(3) }
            let tokens = Tokens()
            #expect(tokens.are(try stage.passed(datagram(to: address, payload: payload), of: 50), of: 3))
        }
    }

    @Test(arguments: hooks) func areUDPToItsPorts(hook: HookKind) throws {
        let stage = try stage(hook, ports: PortSet([53...53, 8000...8010]))
        for (port, limited) in [(53, true), (52, false), (54, false), (8000, true), (8010, true), (8011, false)] {
            for address in ["10.0.0.1", "2001:db8::1"] as [IPAddress] {
                #expect(try isLimited(datagram(to: address, port: UInt16(port)), stage) == limited, "\(port)")
            }
        }
        #expect(try stage.counter("others", "other-port") == 120)
        for layer in [Self.v4, Self.v6] {
            #expect(try !isLimited(Packet.bytes(.ethernet(), layer, .tcp(from: 1, to: 53)), stage))
        }
        #expect(try stage.counter("others", "not-udp") == 40)
        let arp = Packet.bytes(.ethernet(to: .broadcast), .arp(sender: "192.0.2.1", target: "10.0.0.1"))
        #expect(try !isLimited(arp, stage))
        #expect(try stage.counter("others", "not-ip") == 20)
    }

    /// Nothing before the datagram hides it, nor its port.
    @Test(arguments: hooks) func areFoundBehindExtensionHeaders(hook: HookKind) throws {
        let udp: [PacketLayer] = [.udp(from: 4000, to: 53), .payload(18)]
        let chains: [[PacketLayer]] = [
            [.extensionHeader(0, bytes: 8)], [.extensionHeader(60, bytes: 64)], [.extensionHeader(43, bytes: 24)],
            [.extensionHeader(0), .extensionHeader(60), .extensionHeader(43), .extensionHeader(60)],
            [.authenticationHeader(bytes: 24)], [.fragmentHeader(offset: 0, more: false)],
            [.extensionHeader(0), .fragmentHeader(offset: 0, more: false), .extensionHeader(60)],
        ]
        for chain in chains {
            let stage = try stage(hook, ports: PortSet([53...53]))
            #expect(try isLimited(Packet.bytes([.ethernet(), Self.v6] + chain + udp), stage), "\(chain)")
            let other: [PacketLayer] = [.udp(from: 4000, to: 99), .payload(18)]
            #expect(try !isLimited(Packet.bytes([.ethernet(), Self.v6] + chain + other), stage))
            let tcp: [PacketLayer] = [.tcp(from: 4000, to: 53)]
            #expect(try !isLimited(Packet.bytes([.ethernet(), Self.v6] + chain + tcp), stage))
        }
        // More of them than are read, or fragments: limited though no port is seen.
        let many = [PacketLayer](repeating: .extensionHeader(60), count: 9)
        for packet in [
            Packet.bytes([.ethernet(), Self.v6] + many + udp),
            Packet.bytes(
                [.ethernet(), Self.v6] + many + [.udp(from: 4000, to: 99), .payload(18)]),
            Packet.bytes(.ethernet(), Self.v6, .fragmentHeader(offset: 5, more: false, next: 17), .payload(40)),
            Packet.bytes(
                .ethernet(),
                .ipv4(from: "192.0.2.1", to: "10.0.0.1", next: 17, fragmentOffset: 5), .payload(40)),
        ] {
            #expect(try isLimited(packet, stage(hook, ports: PortSet([53...53]))))
        }
    }

    @Test(arguments: hooks) func withIPv4OptionsHaveTheirPort(hook: HookKind) throws {
        let options = [UInt8](repeating: 1, count: 40)
        for (port, limited) in [(53, true), (99, false)] as [(UInt16, Bool)] {
            let packet = Packet.bytes(
                .ethernet(), .ipv4(from: "192.0.2.1", to: "10.0.0.1", options: options), .udp(from: 4000, to: port),
                .payload(18))
            #expect(try isLimited(packet, stage(hook, ports: PortSet([53...53]))) == limited)
        }
    }

    /// What is cut off before its addresses cannot be limited by them; what is cut off behind is.
    @Test(arguments: hooks) func thatAreCutOffHarmNobody(hook: HookKind) throws {
        for whole in [datagram(to: "10.0.0.1"), datagram(to: "2001:db8::1")] {
            let header = whole.count == 60 ? 20 : 40
            let stage = try stage(hook, ports: PortSet([53...53]))
            // The kernel itself takes no shorter ones at this hook.
            let shortest = 14 + header
            for length in shortest..<whole.count {
                let outcome = try stage.run(Array(whole.prefix(length))).verdict
                #expect(outcome == .next || outcome == .drop)
            }
            #expect(try stage.counts(of: "dns")[0] >= 1)
        }
    }

    @Test(arguments: hooks) func overTheLimitAreMarked(hook: HookKind) throws {
        let stage = try stage(hook) { ($0.action, $0.mark) = (.mark, 0xbeef) }
        for address in ["10.0.0.1", "2001:db8::1"] as [IPAddress] {
            var (first, second) = (StageUnderTest.PacketContext(mark: 7), StageUnderTest.PacketContext(mark: 7))
            #expect(try stage.run(datagram(to: address), context: &first).verdict == .next)
            #expect(first == .init(mark: 7))
            #expect(try stage.run(datagram(to: address), context: &second).verdict == .next)
            #expect(second == .init(mark: hook == .socketFilter ? 7 : 0xbeef, control: 0xbeef))
        }
        #expect(try stage.counts(of: "dns") == [2, 0, 2, 0, 0])
    }

    @Test(arguments: hooks) func overTheLimitAreOnlyCountedIfSoAsked(hook: HookKind) throws {
        let stage = try stage(hook) { $0.action = .count }
        let tokens = Tokens()
        #expect(try stage.passed(to: "10.0.0.1", of: 100) == 100)
        #expect(tokens.are(try stage.counts(of: "dns")[0], of: 1))
        #expect(try stage.count(.drop) == 0)
    }

    /// A train is as many datagrams as it has, also where it alone puts the bucket off for long.
    @Test(arguments: hooks) func ofATrainAllCount(hook: HookKind) throws {
        let stage = try stage(hook) { $0.perAddress = slow(100) }
        var passed = 0
        for _ in 0..<10 {
            var train = StageUnderTest.PacketContext(segments: 40)
            if try stage.run(datagram(to: "10.0.0.1"), context: &train).verdict == .next { passed += 1 }
        }
        // The third finds 20 left, and takes what is not there.
        #expect(passed == 3)
        #expect(try stage.passed(to: "10.0.0.1", of: 100) == 0)
    }

    @Test(arguments: hooks) func ofThePlanGetWhatItExpects(hook: HookKind) throws {
        let stage = try stage(hook, ports: PortSet([53...53])) { $0.perAddress = Rate(packetsPerSecond: 1000) }
        #expect(stage.plan.samples.count == 3)
        #expect(try stage.failingSamples().isEmpty)
    }
}
