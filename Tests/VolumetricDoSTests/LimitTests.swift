// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import Glibc
import StageKit
import StageTesting
import Testing
import VolumetricDoS

// So slowly a bucket hardly fills while a test runs, so that what passes can be counted.
private func rate(_ burst: UInt64) -> UInt64 { max(1, burst / 900) }
private func slow(_ burst: UInt64, per key: Limit.Key = .source) -> Limit {
    Limit(.packets, perSecond: rate(burst), burst: burst, per: key)
}

/// Counts from before the first packet, for machines that stall: each second may bring a packet more, or as many.
private struct Tokens {
    private let start = ContinuousClock.now

    /// Whether so many packets are what passes of a full bucket of so many.
    func are(_ passed: UInt64, of burst: UInt64) -> Bool {
        let fresh = (ContinuousClock.now - start) / .seconds(1) * Double(rate(burst))
        return passed >= burst && Double(passed) <= Double(burst) + fresh + 1
    }
}

private func datagram(from source: IPAddress, to destination: IPAddress? = nil) -> [UInt8] {
    source.isIPv4
        ? Packet.bytes(
            .ethernet(), .ipv4(from: source, to: destination ?? "192.0.2.1"), .udp(from: 1, to: 2), .payload(18))
        : Packet.bytes(
            .ethernet(), .ipv6(from: source, to: destination ?? "2001:db8::1"), .udp(from: 1, to: 2), .payload(18))
}

extension StageUnderTest {
    static func version1_0(_ configuration: Configuration) throws -> StageUnderTest {
        try StageUnderTest(configuration.plan(), objects: objects(of: "volumetric-dos-1_0"))
    }

    static func version1_1(
        _ configuration: Configuration1_1, after earlier: StageUnderTest? = nil
    ) throws -> StageUnderTest {
        try StageUnderTest(
            configuration.plan(), objects: objects(of: "volumetric-dos-1_1"), sharingStateWith: earlier)
    }

    /// How many of `count` packets from a source go on.
    fileprivate func passed(_ source: IPAddress, to destination: IPAddress? = nil, of count: Int) throws -> UInt64 {
        let before = try self.count(.next)
        try run(datagram(from: source, to: destination), repeat: count)
        return try self.count(.next) - before
    }
}

@Suite("Limits", .enabled(if: getuid() == 0, mayLoadPrograms))
struct LimitTests {
    @Test(arguments: [1, 2, 100, 5000] as [UInt64])
    func admitsTheBurstOfEachSource(burst: UInt64) throws {
        let stage = try StageUnderTest.version1_0(Configuration(limit: slow(burst)))
        for source in ["10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"] as [IPAddress] {
            let tokens = Tokens()
            let passed = try stage.passed(source, of: 10_000)
            #expect(tokens.are(passed, of: burst), "\(passed) from \(source)")
        }
        let limited = try #require(try stage.counter("reasons", "limit"))
        #expect(limited == (try stage.count(.drop)))
        #expect(limited + (try stage.count(.next)) == 40_000)
    }

    @Test func admitsTheRate() throws {
        let stage = try StageUnderTest.version1_0(
            Configuration(limit: Limit(packetsPerSecond: 20_000, burst: 40_000)))
        let clock = ContinuousClock()
        let start = clock.now
        var passed = try stage.passed("10.0.0.1", of: 50_000)
        let emptied = clock.now
        var last = emptied
        while last - start < .milliseconds(300) {
            last = clock.now
            passed += try stage.passed("10.0.0.1", of: 50_000)
        }
        // A bucket that holds two seconds' worth overflows only if the machine stalls for that long.
        #expect(Double(passed) >= 40_000 + (last - emptied) / .seconds(1) * 20_000 - 1)
        #expect(Double(passed) <= 40_000 + (clock.now - start) / .seconds(1) * 20_000 + 1)
    }

    /// Long enough that the CPUs do take tokens of the one bucket at the same time.
    @Test func holdsForAllCPUsTogether() throws {
        let stage = try StageUnderTest.version1_0(Configuration(limit: slow(3_000_000)))
        nonisolated(unsafe) let shared = stage
        let tokens = Tokens()
        let ended = DispatchSemaphore(value: 0)
        for _ in 0..<2 {
            Thread.detachNewThread {
                _ = try? shared.run(datagram(from: "10.0.0.1"), repeat: 2_500_000)
                ended.signal()
            }
        }
        for _ in 0..<2 { ended.wait() }
        #expect(try stage.count(.drop) + stage.count(.next) == 5_000_000)
        let passed = try stage.count(.next)
        #expect(tokens.are(passed, of: 3_000_000), "\(passed)")
    }

    @Test func inDryRunCountsAndPasses() throws {
        let stage = try StageUnderTest.version1_0(Configuration(limit: slow(10), dryRun: true))
        let tokens = Tokens()
        #expect(try stage.passed("10.0.0.1", of: 100) == 100)
        #expect(tokens.are(100 - (try #require(try stage.counter("reasons", "limit-dry-run"))), of: 10))
    }

    @Test func sparesTheAllowList() throws {
        let stage = try StageUnderTest.version1_0(Configuration(allow: [IPPrefix("10.0.0.0/8")], limit: slow(1)))
        #expect(try stage.passed("10.0.0.1", of: 100) == 100)
        #expect(try stage.passed("11.0.0.1", of: 100) <= 2)
    }

    @Test func recoversFromABucketOfOtherNumbers() throws {
        let slow = try StageUnderTest.version1_1(Configuration1_1(Configuration(limit: slow(1000))))
        #expect(try slow.passed("10.0.0.1", of: 2000) >= 1000)
        // It owes 900 seconds by the old numbers, but by the new ones no bucket can owe more than half a second.
        let fast = Configuration(limit: Limit(packetsPerSecond: 100, burst: 50))
        let stage = try StageUnderTest.version1_1(Configuration1_1(fast), after: slow)
        #expect(try stage.passed("10.0.0.1", of: 60) >= 50)
    }

    @Test func survivesTheUpgrade() throws {
        let configuration = Configuration(limit: slow(5))
        let old = try StageUnderTest.version1_0(configuration)
        let new = try StageUnderTest.version1_1(Configuration1_1(configuration), after: old)
        let tokens = Tokens()
        #expect(tokens.are(try old.passed("10.0.0.1", of: 50) + new.passed("10.0.0.1", of: 50), of: 5))
        #expect(tokens.are(try new.passed("10.0.0.2", of: 50) + old.passed("10.0.0.2", of: 50), of: 5))
    }
}

@Suite("Limits by key", .enabled(if: getuid() == 0, mayLoadPrograms))
struct KeyedLimitTests {
    @Test(
        arguments: [
            (["10.0.0.1", "10.0.0.99", "10.0.0.255"], ["10.0.1.1"]),
            (["2001:db8:1::1", "2001:db8:1:ffff::1"], ["2001:db8:2::1"]),
        ] as [([IPAddress], [IPAddress])])
    func isSharedByThePrefix(neighbours: [IPAddress], others: [IPAddress]) throws {
        let stage = try StageUnderTest.version1_1(Configuration1_1(limits: [slow(30, per: .sourcePrefix)]))
        let tokens = Tokens()
        let passed = try neighbours.reduce(0) { try $0 + stage.passed($1, of: 20) }
        #expect(tokens.are(passed, of: 30), "\(passed)")
        for other in others { #expect(try stage.passed(other, of: 20) == 20) }
        #expect(try stage.counter("reasons", "limit") == stage.count(.drop))
        #expect(try stage.counter("limits", "source-prefix packets /24 /48") == stage.count(.drop))
    }

    @Test(arguments: [(16, 32), (25, 64), (32, 128), (1, 1)])
    func hasTheLengthsAsked(v4: Int, v6: Int) throws {
        var limit = slow(10, per: .sourcePrefix)
        (limit.v4, limit.v6) = (v4, v6)
        let stage = try StageUnderTest.version1_1(Configuration1_1(limits: [limit]))
        for (source, length) in [("10.9.8.7", v4), ("2001:db8:7:7:7:7:7:7", v6)] {
            let address = try #require(IPAddress(source))
            // The same address with the last bit of the prefix turned, and with the first bit behind it.
            let tokens = Tokens()
            var passed = try stage.passed(address, of: 20)
            if length < address.bytes.count * 8 { passed += try stage.passed(address.turning(bit: length), of: 20) }
            #expect(tokens.are(passed, of: 10))
            #expect(tokens.are(try stage.passed(address.turning(bit: length - 1), of: 20), of: 10))
        }
    }

    @Test func isNotUsedUpByWhatTheSourceLimitDrops() throws {
        let stage = try StageUnderTest.version1_1(
            Configuration1_1(Configuration(limit: slow(10)), limits: [slow(25, per: .sourcePrefix)]))
        let tokens = Tokens()
        let passed = try (["10.0.0.1", "10.0.0.2", "10.0.0.3"] as [IPAddress]).map { try stage.passed($0, of: 1000) }
        #expect(tokens.are(passed[0], of: 10))
        #expect(tokens.are(passed[1], of: 10))
        #expect(tokens.are(passed.reduce(0, +), of: 25))
    }
}

extension KeyedLimitTests {
    /// Flows that share a bucket, and one that has another.
    @Test(
        arguments: [
            (.all, [("10.0.0.1", "10.9.0.1"), ("10.0.0.2", "10.9.0.2"), ("2001:db8::1", "2001:db8::2")], nil),
            (.source, [("10.0.0.1", "10.9.0.1"), ("10.0.0.1", "10.9.0.2")], ("10.0.0.2", "10.9.0.1")),
            (.destination, [("10.0.0.1", "10.9.0.1"), ("10.0.0.2", "10.9.0.1")], ("10.0.0.1", "10.9.0.2")),
            (.destinationPrefix, [("10.0.0.1", "10.9.0.1"), ("10.0.0.2", "10.9.0.2")], ("10.0.0.1", "10.9.1.1")),
            (.pair, [("10.0.0.1", "10.9.0.1")], ("10.0.0.1", "10.9.0.2")),
            (.pair, [("2001:db8::1", "2001:db8::2")], ("2001:db8::2", "2001:db8::1")),
        ] as [(Limit.Key, [(IPAddress, IPAddress)], (IPAddress, IPAddress)?)])
    func isSharedByTheKey(key: Limit.Key, together: [(IPAddress, IPAddress)], apart: (IPAddress, IPAddress)?) throws {
        let stage = try StageUnderTest.version1_1(Configuration1_1(limits: [slow(30, per: key)]))
        let tokens = Tokens()
        let passed = try together.reduce(0) { try $0 + stage.passed($1.0, to: $1.1, of: 40) }
        #expect(tokens.are(passed, of: 30), "\(passed)")
        if let apart { #expect(try stage.passed(apart.0, to: apart.1, of: 20) == 20) }
    }

    @Test func bytesAreCountedToo() throws {
        let limit = Limit(.bytes, perSecond: 60, burst: 6000)
        let stage = try StageUnderTest.version1_1(Configuration1_1(limits: [limit]))
        // Frames of 60 bytes; what is left of a bucket lets one through.
        let passed = try stage.passed("10.0.0.1", of: 500)
        #expect((100...103).contains(passed), "\(passed)")
        #expect(try stage.counter("limits", "source bytes", "bytes") == 60 * (500 - passed))
    }

    @Test func ofSeveralLimitsEachHolds() throws {
        let stage = try StageUnderTest.version1_1(
            Configuration1_1(limits: [slow(40), slow(100, per: .destination), slow(30, per: .pair)]))
        let tokens = Tokens()
        #expect(tokens.are(try stage.passed("10.0.0.1", to: "10.9.0.1", of: 100), of: 30))
        // Of the source's 40 are 10 left, and of the packets that the pair's limit dropped none were taken back.
        #expect(try stage.passed("10.0.0.1", to: "10.9.0.2", of: 100) <= 12)
        #expect(try stage.counter("reasons", "limit") == stage.count(.drop))
    }

    /// 64 buckets, in sets of eight, and more sources at a time than those.
    @Test(arguments: Limit.WhenFull.allCases)
    func aFullTableDoesWhatTheOperatorChose(whenFull: Limit.WhenFull) throws {
        var limit = Limit(.packets, perSecond: 1, burst: 500, whenFull: whenFull)
        limit.known = ["10.1.0.1", "2001:db8::1"]
        let stage = try StageUnderTest.version1_1(Configuration1_1(Configuration(buckets: 64), limits: [limit]))
        // Each owes a hundred seconds.
        var passed: UInt64 = 0
        for index in 0..<200 { passed += try stage.passed(IPAddress(bytes: [10, 2, 0, UInt8(index)]), of: 100) }
        let full = try #require(try stage.counter("reasons", "limit-full"))
        // 136 sources have none; but once in a hundred runs two share a bucket, by 18 bits of a hash with a secret.
        let least: UInt64 = 13_300
        switch whenFull {
        case .pass:
            #expect(passed == 20_000)
            #expect(full >= least)
        case .drop:
            #expect(full >= least)
            #expect(passed == 20_000 - full)
            #expect(try stage.counter("limits", "source packets") == full)
        case .evict:
            #expect(passed == 20_000)
            #expect(full == 0)
        }
        // Those that were known beforehand have their places, and their limits.
        for known in limit.known {
            let tokens = Tokens()
            #expect(tokens.are(try stage.passed(known, of: 1000), of: 500))
        }
    }
}

/// Rates, over some time, with all CPUs at it. `SLUICE_LIMIT_SECONDS=10` takes longer.
@Suite("Rates of limits", .enabled(if: getuid() == 0, mayLoadPrograms))
struct LimitRateTests {
    private static let seconds = getenv("SLUICE_LIMIT_SECONDS").flatMap { Double(String(cString: $0)) } ?? 1

    /// Never more than the limit admits. That it is not less either takes a machine that does not stall for longer than
    /// the burst lasts: one try of five.
    @Test(arguments: Limit.Key.allCases) func areHeldByAllCPUsTogether(key: Limit.Key) throws {
        let tolerance = 0.01 + 0.02 / Self.seconds
        var rates: [Double] = []
        repeat {
            rates.append(try admitted(per: key))
            #expect(rates[rates.count - 1] < 100_000 * (1 + tolerance), "\(rates)")
        } while rates[rates.count - 1] < 100_000 * (1 - tolerance) && rates.count < 5
        #expect(rates[rates.count - 1] >= 100_000 * (1 - tolerance), "\(rates)")
    }

    /// Packets a second, of a limit of 100,000, when all CPUs offer more.
    private func admitted(per key: Limit.Key) throws -> Double {
        // Half a second's worth at once, for machines that stall.
        let limit = Limit(.packets, perSecond: 100_000, burst: 50_000, per: key)
        let stage = try StageUnderTest.version1_1(Configuration1_1(limits: [limit]))
        // The bucket is empty before the clock starts.
        try stage.run(datagram(from: "10.0.0.1"), repeat: 200_000)
        nonisolated(unsafe) let shared = stage
        let clock = ContinuousClock()
        let (before, start) = (try stage.count(.next), clock.now)
        let end = start + .seconds(Self.seconds)
        let ended = DispatchSemaphore(value: 0)
        for _ in 0..<ProcessInfo.processInfo.activeProcessorCount {
            Thread.detachNewThread {
                while clock.now < end { _ = try? shared.run(datagram(from: "10.0.0.1"), repeat: 20_000) }
                ended.signal()
            }
        }
        for _ in 0..<ProcessInfo.processInfo.activeProcessorCount { ended.wait() }
        let time = (clock.now - start) / .seconds(1)
        let admitted = Double(try stage.count(.next) - before) / time
        #expect(try stage.count(.drop) > 100_000, "more was offered than the limit admits")
        print("limit per \(key.rawValue): \(admitted) packets a second of 100000, over \(time) s")
        return admitted
    }
}

@Suite("Limits of rules", .enabled(if: getuid() == 0, mayLoadPrograms))
struct RuleLimitTests {
    @Test(arguments: [false, true]) func holdsWhatTheRuleMatches(isDryRun: Bool) throws {
        var rule = Rule(name: "dns", protocol: .udp, action: .limit)
        rule.limit = slow(20, per: .source)
        let rules = [rule, Rule(name: "never", source: try IPPrefix("0.0.0.0/0"))]
        let stage = try StageUnderTest.version1_0(Configuration(dryRun: isDryRun, rules: rules))
        for source in ["10.0.0.1", "10.0.0.2"] as [IPAddress] {
            let tokens = Tokens()
            let passed = try stage.passed(source, of: 100)
            // What is within the limit is past the rules behind.
            #expect(isDryRun ? passed == 100 : tokens.are(passed, of: 20), "\(passed)")
        }
        let over = try #require(try stage.counter("reasons", isDryRun ? "rule-limit-dry-run" : "rule-limit"))
        #expect((158...160).contains(over))
        #expect(try stage.counter("rules", "dns", isDryRun ? "dry-run" : "packets") == over)
        #expect(try stage.counter("rules", "never") == 0)
    }
}

extension IPAddress {
    fileprivate func turning(bit: Int) -> IPAddress {
        var turned = bytes
        turned[bit / 8] ^= 0x80 >> UInt8(bit % 8)
        return IPAddress(bytes: turned)
    }
}
