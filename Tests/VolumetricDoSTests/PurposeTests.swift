// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing
import VolumetricDoS

/// What is handled on purpose: each kind of packet, what becomes of it, and what it is counted as.
@Suite("Handled on purpose", .enabled(if: getuid() == 0, mayLoadPrograms))
struct PurposeTests {
    /// Drops all that it may: every packet, from its first one on.
    private static let strictest = Configuration(rules: [
        Rule(source: try! IPPrefix("0.0.0.0/0")), Rule(source: try! IPPrefix("::/0")),
    ])

    static let essential: [(String, [UInt8])] =
        [
            ("arp", Packet.bytes(.ethernet(to: .broadcast), .arp(sender: "192.0.2.1", target: "192.0.2.2"))),
            ("arp", Packet.bytes(.ethernet(), .vlan(7), .arp(operation: 2, sender: "192.0.2.1", target: "192.0.2.2"))),
            ("not-ip", Packet.bytes(.ethernet(type: 0x88cc), .payload(46))),
            ("not-ip", Packet.bytes(.ethernet(type: 60), .payload(46))),
        ]
        + (133...137).map { type in
            (
                "ndp",
                Packet.bytes(.ethernet(), .ipv6(from: "fe80::1", to: "ff02::1", hopLimit: 255), .icmpv6(type: type))
            )
        }

    @Test(arguments: essential)
    func whatTheLinkNeedsGoesOn(reason: String, frame: [UInt8]) throws {
        let stage = try StageUnderTest.version1_0(Self.strictest)
        let outcome = try stage.run(frame)
        #expect(outcome.verdict == .next)
        #expect(outcome.packet == frame)
        #expect(try stage.counter("reasons", reason) == 1)
    }

    @Test(arguments: [
        Packet.bytes(.ethernet(), .ipv6(from: "fe80::1", to: "ff02::1", hopLimit: 254), .icmpv6(type: 135)),
        Packet.bytes(.ethernet(), .ipv6(from: "fe80::1", to: "ff02::1", hopLimit: 255), .icmpv6(type: 128)),
        Packet.bytes(
            .ethernet(), .ipv6(from: "fe80::1", to: "ff02::1", hopLimit: 255), .fragmentHeader(offset: 0, more: true),
            .icmpv6(type: 135)),
    ])
    func whatOnlyLooksLikeNeighbourDiscoveryIsJudged(frame: [UInt8]) throws {
        #expect(try StageUnderTest.version1_0(Self.strictest).run(frame).verdict == .drop)
    }

    static let malformed: [(String, [UInt8])] = [
        ("an IPv4 header cut off", Array(datagram().prefix(33))),
        ("a header length below five words", datagram { $0[14] = 0x44 }),
        ("a header longer than the frame", datagram { $0[14] = 0x4f }),
        ("version 5", datagram { $0[14] = 0x55 }),
        ("a total length below the header's", datagram { ($0[16], $0[17]) = (0, 19) }),
        ("a total length beyond the frame", datagram { ($0[16], $0[17]) = (0, 47) }),
        ("a UDP header beyond the total length", datagram { ($0[16], $0[17]) = (0, 27) }),
        ("a VLAN tag cut off", Array(Packet.bytes(.ethernet(type: 0x8100), .payload(3)))),
        (
            "a TCP header below five words",
            Packet.bytes(.ethernet(), .ipv4(from: "10.0.0.1", to: "10.0.0.2"), .tcp(from: 1, to: 2))
                .changed { $0[46] = 0x40 }
        ),
        (
            "a TCP header longer than the packet",
            Packet.bytes(.ethernet(), .ipv4(from: "10.0.0.1", to: "10.0.0.2"), .tcp(from: 1, to: 2))
                .changed { $0[46] = 0x60 }
        ),
        (
            "an ICMP header cut off",
            Packet.bytes(.ethernet(), .ipv4(from: "10.0.0.1", to: "10.0.0.2", next: 1), .payload(7))
        ),
        (
            "an IPv6 header cut off",
            Array(
                Packet.bytes(.ethernet(), .ipv6(from: "2001:db8::1", to: "2001:db8::2"), .udp(from: 1, to: 2)).prefix(
                    53))
        ),
        (
            "an IPv6 payload beyond the frame",
            Packet.bytes(
                .ethernet(), .ipv6(from: "2001:db8::1", to: "2001:db8::2", payloadLength: 9), .udp(from: 1, to: 2))
        ),
        (
            "an extension header longer than the packet",
            Packet.bytes(
                .ethernet(), .ipv6(from: "2001:db8::1", to: "2001:db8::2"), .extensionHeader(60), .udp(from: 1, to: 2)
            ).changed { $0[55] = 2 }
        ),
        (
            "nine extension headers",
            Packet.bytes(
                [.ethernet(), .ipv6(from: "2001:db8::1", to: "2001:db8::2")]
                    + [PacketLayer](repeating: .extensionHeader(60), count: 9) + [.udp(from: 1, to: 2)])
        ),
    ]

    @Test(arguments: malformed)
    func malformedFramesAreDroppedUnlessAskedOtherwise(name: String, frame: [UInt8]) throws {
        let dropping = try StageUnderTest.version1_0(Configuration())
        #expect(try dropping.run(frame).verdict == .drop)
        #expect(try dropping.counter("reasons", "malformed", "bytes") == UInt64(frame.count))
        // No rule is tried on them: they have nothing to try it on.
        var lenient = Self.strictest
        lenient.malformed = .pass
        let passing = try StageUnderTest.version1_0(lenient)
        #expect(try passing.run(frame).verdict == .next)
        #expect(try passing.counter("reasons", "malformed-passed") == 1)
        let trying = try StageUnderTest.version1_0(Configuration(dryRun: true))
        #expect(try trying.run(frame).verdict == .next)
        #expect(try trying.counter("reasons", "malformed-dry-run") == 1)
    }

    @Test func theAllowListAlwaysWins() throws {
        var configuration = Self.strictest
        configuration.allow = [try IPPrefix("10.1.0.0/16"), try IPPrefix("2001:db8:1::/48")]
        configuration.limit = Limit(packetsPerSecond: 1, burst: 1)
        let stage = try StageUnderTest.version1_0(configuration)
        let packets: [(IPAddress, Verdict)] = [
            ("10.1.0.0", .next), ("10.1.255.255", .next), ("10.2.0.0", .drop), ("10.0.255.255", .drop),
            ("2001:db8:1::", .next), ("2001:db8:1:ffff::", .next), ("2001:db8:2::", .drop), ("2001:db8::1", .drop),
        ]
        for (source, verdict) in packets {
            let frame = Packet.bytes(
                .ethernet(),
                source.isIPv4 ? .ipv4(from: source, to: "192.0.2.1") : .ipv6(from: source, to: "2001:db8::"),
                .udp(from: 1, to: 2))
            #expect(try stage.run(frame).verdict == verdict, "\(source)")
        }
        // Even over a packet whose transport header is cut off, as its source can be relied on.
        let stump = Packet.bytes(.ethernet(), .ipv4(from: "10.1.0.1", to: "10.0.0.2", next: 6), .payload(4))
        #expect(try stage.run(stump).verdict == .next)
        #expect(try stage.counter("reasons", "allowed") == 5)
    }

    @Test func dryRunCountsAndPasses() throws {
        let rules = [
            Rule(name: "trial", protocol: .udp, dryRun: true), Rule(name: "real", destinationPort: NumberSet(2, 2)),
        ]
        let stage = try StageUnderTest.version1_0(Configuration(rules: rules))
        // A rule on trial lets the rules behind it decide.
        #expect(try stage.run(datagram(to: 2)).verdict == .drop)
        #expect(try stage.run(datagram(to: 3)).verdict == .next)
        #expect(try stage.counter("rules", "trial", "dry-run") == 2)
        #expect(try stage.counter("rules", "trial") == 0)
        #expect(try stage.counter("rules", "real") == 1)
        #expect(try stage.counter("rules", "real", "bytes") == 60)

        let trying = try StageUnderTest.version1_0(Configuration(dryRun: true, rules: rules))
        #expect(try trying.run(datagram(to: 2)).verdict == .next)
        #expect(try trying.counter("rules", "real", "dry-run") == 1)
        #expect(try trying.counter("reasons", "rule-dry-run") == 1)
        #expect(try trying.count(.drop) == 0)
    }

    @Test func laterFragmentsHaveNoPortsAndFlags() throws {
        let stage = try StageUnderTest.version1_0(
            Configuration(rules: [
                Rule(name: "ports", destinationPort: NumberSet(0, 65535)),
                Rule(name: "flags", tcpFlags: FlagsMatch(set: [], unset: [.syn])),
                Rule(name: "protocol", protocol: .tcp),
            ]))
        let fragment = Packet.bytes(
            .ethernet(), .ipv4(from: "10.0.0.1", to: "10.0.0.2", next: 6, fragmentOffset: 100), .payload(40))
        #expect(try stage.run(fragment).verdict == .drop)
        #expect(try stage.counter("rules", "protocol") == 1)
        #expect(try stage.counter("reasons", "later-fragment") == 1)
    }

    @Test func rulesHoldForBigPacketsInFragments() throws {
        let stage = try StageUnderTest.version1_0(
            Configuration(rules: [Rule(name: "big", length: NumberSet(8000, 9000))]))
        let jumbo = Packet.bytes(
            .ethernet(), .ipv4(from: "10.0.0.1", to: "10.0.0.2"), .udp(from: 1, to: 2), .payload(8900))
        #expect(try stage.run(jumbo).verdict == .drop)
        #expect(try stage.counter("rules", "big", "bytes") == UInt64(jumbo.count))
    }

    @Test func samplesGetWhatTheyExpect() throws {
        for seed in 0..<40 {
            var random = SeededGenerator(seed: UInt64(seed) + 1_000_000)
            var configuration = random.configuration()
            configuration.limit = Limit(packetsPerSecond: 1, burst: 100)
            let old = try StageUnderTest.version1_0(configuration)
            let all = Limit(.packets, perSecond: 1, burst: 100, per: .all)
            let new = try StageUnderTest.version1_1(.init(configuration, limits: [all]), after: old)
            for stage in [old, new] {
                let failing = try stage.failingSamples()
                #expect(failing.isEmpty, "seed \(seed): \(failing.map { ($0.sample.name, $0.verdict) })")
            }
        }
    }
}

/// From 10.0.0.1 and port 1, with 60 bytes in all.
private func datagram(to port: UInt16 = 2, _ change: (inout [UInt8]) -> Void = { _ in }) -> [UInt8] {
    Packet.bytes(.ethernet(), .ipv4(from: "10.0.0.1", to: "10.0.0.2"), .udp(from: 1, to: port), .payload(18))
        .changed(change)
}

extension [UInt8] {
    fileprivate func changed(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
        var bytes = self
        change(&bytes)
        return bytes
    }
}
