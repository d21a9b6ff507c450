// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing
import UDPRateLimit

@Suite("Limits", .enabled(if: getuid() == 0, mayLoadPrograms))
struct LimitTests {
    private static let families: [(IPAddress, IPAddress)] = [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2")]

    @Test(arguments: hooks, families) func isOfEachAddress(hook: HookKind, pair: (IPAddress, IPAddress)) throws {
        let stage = try StageUnderTest.udp(
            Configuration(policies: [
                Policy(name: "dns", destinations: try prefixes("10.0.0.0/24", "2001:db8::/120"), perAddress: slow(30))
            ]), at: hook)
        for address in [pair.0, pair.1] {
            let tokens = Tokens()
            let passed = try stage.passed(to: address, of: 1000)
            #expect(tokens.are(passed, of: 30), "\(passed)")
        }
        let counts = try stage.counts(of: "dns")
        #expect(counts == [try stage.count(.next), 0, try stage.count(.drop), 0, 0])
        #expect(counts[0] + counts[2] == 2000)
    }

    /// Prefixes and single addresses, of own and of shared buckets; the longest counts.
    @Test(arguments: hooks, [Policy.Buckets.own, .shared])
    func isOfTheLongestPrefix(hook: HookKind, buckets: Policy.Buckets) throws {
        let all = try Configuration(
            policies: [
                Policy(name: "wide", destinations: prefixes("10.0.0.0/22", "2001:db8::/112"), perAddress: slow(10)),
                Policy(name: "net", destinations: prefixes("10.0.1.0/24", "2001:db8::a0/124"), perAddress: slow(20)),
                Policy(name: "one", destinations: prefixes("10.0.1.7", "2001:db8::a7"), perAddress: slow(40)),
            ].map { policy in
                var policy = policy
                policy.buckets = buckets
                return policy
            })
        let stage = try StageUnderTest.udp(all, at: hook)
        let expected: [(IPAddress, UInt64)] = [
            ("10.0.0.7", 10), ("10.0.1.8", 20), ("10.0.1.7", 40), ("10.0.2.7", 10), ("10.0.3.255", 10),
            ("2001:db8::7", 10), ("2001:db8::a8", 20), ("2001:db8::a7", 40), ("2001:db8::ffff", 10),
        ]
        for (address, burst) in expected {
            let tokens = Tokens()
            #expect(tokens.are(try stage.passed(to: address, of: 100), of: burst), "\(address)")
        }
        for address in ["10.0.4.1", "9.255.255.255", "2001:db8::1:0"] as [IPAddress] {
            #expect(try stage.passed(to: address, of: 100) == 100)
        }
        #expect(try stage.counter("others", "no-policy") == 300)
    }

    @Test(arguments: hooks) func isOfThePrefixToo(hook: HookKind) throws {
        let stage = try StageUnderTest.udp(
            Configuration(policies: [
                Policy(
                    name: "dns", destinations: prefixes("10.0.0.0/24", "10.0.1.0/24"), perAddress: slow(30),
                    perPrefix: slow(50))
            ]), at: hook)
        let tokens = Tokens()
        let first = try stage.passed(to: "10.0.0.1", of: 1000)
        let second = try stage.passed(to: "10.0.0.2", of: 1000)
        #expect(tokens.are(first, of: 30))
        #expect(tokens.are(first + second, of: 50), "\(first) \(second)")
        // What the address's limit drops does not count against the prefix's.
        #expect(tokens.are(try stage.passed(to: "10.0.1.1", of: 1000), of: 30))
        let counts = try stage.counts(of: "dns")
        #expect(counts[2] + counts[3] == (try stage.count(.drop)))
        #expect(counts[3] > 0)
    }

    @Test(arguments: hooks) func sourcesShareOnlyWhatIsScarce(hook: HookKind) throws {
        let policy = Policy(
            name: "dns", destinations: try prefixes("10.0.0.0/24", "2001:db8::/120"), perAddress: slow(100),
            perSource: SourceRate(slow(10), from: 50))
        let stage = try StageUnderTest.udp(Configuration(policies: [policy]), at: hook)
        for (address, greedy, other) in [
            ("10.0.0.1", "198.51.100.1", "198.51.101.1"), ("2001:db8::1", "2001:db8:5::1", "2001:db8:6::1"),
        ] as [(IPAddress, IPAddress, IPAddress)] {
            let tokens = Tokens()
            // Half of the address's bucket without a question, then what a source has.
            let passed = try stage.passed(to: address, from: greedy, of: 1000)
            #expect(tokens.are(passed, of: 60), "\(passed)")
            // The others have what is left: ten each of four of them.
            #expect(tokens.are(try stage.passed(to: address, from: other, of: 1000), of: 10))
        }
        #expect(try stage.counts(of: "dns")[1] == stage.count(.drop))
    }

    /// From 0 % on each source has its limit whatever else there is; neighbours of one prefix share it.
    @Test(arguments: hooks, [(24, 48), (32, 128), (16, 32), (25, 57)])
    func sourcesHaveThePrefixesAsked(hook: HookKind, lengths: (v4: Int, v6: Int)) throws {
        let policy = Policy(
            name: "dns", destinations: try prefixes("10.0.0.0/24", "2001:db8::/120"),
            perSource: SourceRate(slow(10), v4: lengths.v4, v6: lengths.v6, from: 0))
        let stage = try StageUnderTest.udp(Configuration(policies: [policy]), at: hook)
        for (address, source, length) in [
            ("10.0.0.1", "198.51.100.200", lengths.v4), ("2001:db8::1", "2001:db8:5:6:7:8:9:a", lengths.v6),
        ] as [(IPAddress, IPAddress, Int)] {
            let tokens = Tokens()
            var passed = try stage.passed(to: address, from: source, of: 20)
            if length < source.bytes.count * 8 {
                passed += try stage.passed(to: address, from: source.turning(bit: length), of: 20)
            }
            #expect(tokens.are(passed, of: 10), "\(passed)")
            #expect(tokens.are(try stage.passed(to: address, from: source.turning(bit: length - 1), of: 20), of: 10))
        }
    }

    /// Fourteen thousand spoofed sources and as many unknown destinations take nothing from those that have buckets of
    /// their own.
    @Test(arguments: hooks) func ownBucketsAreNobodyElses(hook: HookKind) throws {
        let stage = try StageUnderTest.udp(
            Configuration(
                policies: [
                    Policy(
                        name: "dns", destinations: prefixes("10.0.0.0/24"), perAddress: slow(30),
                        perSource: SourceRate(slow(5), from: 50)),
                    Policy(name: "rest", destinations: prefixes("0.0.0.0/0"), perAddress: slow(5), buckets: .shared),
                ], buckets: 64), at: hook)
        let tokens = Tokens()
        #expect(try stage.passed(to: "10.0.0.1", of: 15) == 15)
        var random = SeededGenerator(seed: 7)
        for _ in 0..<3000 {
            let spoofed = IPAddress(bytes: [20, random.number(0...255), random.number(0...255), random.number(0...255)])
            try stage.run(datagram(to: "10.0.0.2", from: spoofed))
            try stage.run(datagram(to: spoofed, from: "10.9.9.9"))
        }
        #expect(try stage.counts(of: "rest")[4] > 1000, "the shared table is full")
        // What it owes is not forgotten, and what it has is not taken.
        #expect(tokens.are(15 + (try stage.passed(to: "10.0.0.1", from: "10.77.0.1", of: 1000)), of: 30))
        #expect(tokens.are(try stage.passed(to: "10.0.0.3", from: "10.77.0.1", of: 15), of: 15))
    }

    @Test(arguments: hooks, Configuration.WhenFull.allCases)
    func aFullTableDoesWhatTheOperatorChose(hook: HookKind, whenFull: Configuration.WhenFull) throws {
        let stage = try StageUnderTest.udp(
            Configuration(
                policies: [
                    Policy(name: "rest", destinations: prefixes("0.0.0.0/0"), perAddress: slow(500), buckets: .shared)
                ], buckets: 64, whenFull: whenFull), at: hook)
        var passed: UInt64 = 0
        for index in 0..<200 {
            passed += try stage.passed(to: IPAddress(bytes: [10, 2, 0, UInt8(index)]), of: 100)
        }
        let counts = try stage.counts(of: "rest")
        // 136 addresses have no place; but once in a hundred runs two share one, by 18 bits of a hash with a secret.
        #expect(counts[4] >= 13_300)
        #expect(passed == (whenFull == .pass ? 20_000 : 20_000 - counts[4]))
    }

    @Test(arguments: hooks) func survivesTheUpgrade(hook: HookKind) throws {
        let configuration = Configuration(policies: [
            Policy(name: "dns", destinations: try prefixes("10.0.0.0/24", "2001:db8::/120"), perAddress: slow(20)),
            Policy(name: "rest", destinations: try prefixes("0.0.0.0/0"), perAddress: slow(20), buckets: .shared),
        ])
        let old = try StageUnderTest.udp(configuration, at: hook)
        let new = try StageUnderTest.udp(configuration, at: hook, after: old)
        for address in ["10.0.0.1", "2001:db8::5", "11.0.0.1"] as [IPAddress] {
            let tokens = Tokens()
            let passed = try old.passed(to: address, of: 15) + new.passed(to: address, of: 100)
            #expect(tokens.are(passed, of: 20), "\(passed)")
        }
    }

    /// Another configuration gives an address's place to another one, which does not inherit what that owes.
    @Test(arguments: hooks) func aPlaceForgetsItsFormerOwner(hook: HookKind) throws {
        func configuration(_ destinations: String...) throws -> Configuration {
            Configuration(policies: [
                Policy(name: "dns", destinations: try destinations.map { try IPPrefix($0) }, perAddress: slow(20))
            ])
        }
        let old = try StageUnderTest.udp(configuration("10.0.0.1", "10.0.0.2", "10.0.0.5"), at: hook)
        for address in ["10.0.0.1", "10.0.0.2", "10.0.0.5"] as [IPAddress] {
            #expect(try old.passed(to: address, of: 100) >= 20)
        }
        let new = try StageUnderTest.udp(configuration("10.0.0.1", "10.0.0.3", "10.0.0.5"), at: hook, after: old)
        #expect(try new.passed(to: "10.0.0.3", of: 100) >= 20)
        for address in ["10.0.0.1", "10.0.0.5"] as [IPAddress] { #expect(try new.passed(to: address, of: 100) <= 3) }
    }

    /// Halves of a prefix are looked up as one, and addresses in it have their buckets all the same; but for a prefix that
    /// is somebody else's.
    @Test(arguments: hooks) func destinationsThatTouchAreOne(hook: HookKind) throws {
        let policies = try [
            Policy(
                name: "many",
                destinations: (0..<4).map { try IPPrefix("10.0.0.\($0)") }
                    + prefixes("10.0.0.4/30", "10.0.1.0/25", "10.0.1.128/25"),
                perAddress: slow(10)),
            Policy(name: "other", destinations: prefixes("10.0.1.0/24", "10.0.0.2/31"), perAddress: slow(20)),
            Policy(name: "wide", destinations: prefixes("10.0.0.0/16"), perAddress: slow(20)),
        ]
        let configuration = Configuration(policies: policies)
        let plan = try configuration.plan(in: context(hook))
        // Of the first 10.0.0.0/31, 10.0.0.2, 10.0.0.3, 10.0.0.4/30, and both halves of 10.0.1.0/24.
        #expect(plan.maps["addresses_v4"]?.entries.count == 2)
        #expect(plan.maps["prefixes_v4"]?.entries.count == 4 + 3)
        let stage = try StageUnderTest.udp(configuration, at: hook)
        for (last, burst) in [
            ("0.0", 10), ("0.1", 10), ("0.2", 10), ("0.3", 10), ("0.6", 10), ("0.8", 20), ("1.5", 10), ("1.255", 10),
        ] as [(String, UInt64)] {
            let tokens = Tokens()
            #expect(tokens.are(try stage.passed(to: IPAddress("10.0.\(last)")!, of: 100), of: burst), "10.0.\(last)")
        }
    }

    @Test(arguments: hooks) func recoversFromABucketOfOtherNumbers(hook: HookKind) throws {
        func configuration(_ rate: Rate) throws -> Configuration {
            Configuration(policies: [Policy(name: "dns", destinations: try prefixes("10.0.0.1"), perAddress: rate)])
        }
        let old = try StageUnderTest.udp(configuration(Rate(packetsPerSecond: 1, burst: 1000)), at: hook)
        #expect(try old.passed(to: "10.0.0.1", of: 2000) >= 1000)
        // It owes a thousand seconds by the old numbers; by the new ones no bucket can owe more than some twelve.
        let new = try StageUnderTest.udp(configuration(Rate(packetsPerSecond: 100, burst: 50)), at: hook, after: old)
        #expect(try new.passed(to: "10.0.0.1", of: 60) >= 50)
    }
}

extension IPAddress {
    /// With one bit turned.
    func turning(bit: Int) -> IPAddress {
        var bytes = bytes
        bytes[bit / 8] ^= 0x80 >> UInt8(bit % 8)
        return IPAddress(bytes: bytes)
    }
}
