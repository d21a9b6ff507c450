// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import Glibc
import StageKit
import StageTesting
import Testing
import VolumetricDoS

// At one packet a second a bucket does not fill while a test runs, so that what passes can be counted.
private func oneASecond(_ burst: UInt64) -> Limit { Limit(packetsPerSecond: 1, burst: burst) }

/// Counts from before the first packet, for machines that stall: each second may bring one packet more.
private struct Tokens {
    private let start = ContinuousClock.now

    /// Whether so many packets are what passes of a full bucket of so many.
    func are(_ passed: UInt64, of burst: UInt64) -> Bool {
        passed >= burst && Double(passed) <= Double(burst) + (ContinuousClock.now - start) / .seconds(1)
    }
}

private func datagram(from source: IPAddress) -> [UInt8] {
    source.isIPv4
        ? Packet.bytes(.ethernet(), .ipv4(from: source, to: "192.0.2.1"), .udp(from: 1, to: 2), .payload(18))
        : Packet.bytes(.ethernet(), .ipv6(from: source, to: "2001:db8::1"), .udp(from: 1, to: 2), .payload(18))
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
    fileprivate func passed(_ source: IPAddress, of count: Int) throws -> UInt64 {
        let before = try self.count(.next)
        try run(datagram(from: source), repeat: count)
        return try self.count(.next) - before
    }
}

@Suite("Limits", .enabled(if: getuid() == 0, mayLoadPrograms))
struct LimitTests {
    @Test(arguments: [1, 2, 100, 5000] as [UInt64])
    func admitsTheBurstOfEachSource(burst: UInt64) throws {
        let stage = try StageUnderTest.version1_0(Configuration(limit: oneASecond(burst)))
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
        let stage = try StageUnderTest.version1_0(Configuration(limit: oneASecond(3_000_000)))
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
        let stage = try StageUnderTest.version1_0(Configuration(limit: oneASecond(10), dryRun: true))
        let tokens = Tokens()
        #expect(try stage.passed("10.0.0.1", of: 100) == 100)
        #expect(tokens.are(100 - (try #require(try stage.counter("reasons", "limit-dry-run"))), of: 10))
    }

    @Test func sparesTheAllowList() throws {
        let stage = try StageUnderTest.version1_0(Configuration(allow: [IPPrefix("10.0.0.0/8")], limit: oneASecond(1)))
        #expect(try stage.passed("10.0.0.1", of: 100) == 100)
        #expect(try stage.passed("11.0.0.1", of: 100) <= 2)
    }

    @Test func recoversFromABucketOfOtherNumbers() throws {
        let slow = try StageUnderTest.version1_1(Configuration1_1(Configuration(limit: oneASecond(1000))))
        #expect(try slow.passed("10.0.0.1", of: 2000) >= 1000)
        // It owes 1000 seconds by the old numbers, but by the new ones no bucket can owe more than half a second.
        let fast = Configuration(limit: Limit(packetsPerSecond: 100, burst: 50))
        let stage = try StageUnderTest.version1_1(Configuration1_1(fast), after: slow)
        #expect(try stage.passed("10.0.0.1", of: 60) >= 50)
    }

    @Test func survivesTheUpgrade() throws {
        let configuration = Configuration(limit: oneASecond(5))
        let old = try StageUnderTest.version1_0(configuration)
        let new = try StageUnderTest.version1_1(Configuration1_1(configuration), after: old)
        let tokens = Tokens()
        #expect(tokens.are(try old.passed("10.0.0.1", of: 50) + new.passed("10.0.0.1", of: 50), of: 5))
        #expect(tokens.are(try new.passed("10.0.0.2", of: 50) + old.passed("10.0.0.2", of: 50), of: 5))
    }
}

@Suite("Limits by prefix", .enabled(if: getuid() == 0, mayLoadPrograms))
struct PrefixLimitTests {
    @Test(
        arguments: [
            (["10.0.0.1", "10.0.0.99", "10.0.0.255"], ["10.0.1.1"]),
            (["2001:db8:1::1", "2001:db8:1:ffff::1"], ["2001:db8:2::1"]),
        ] as [([IPAddress], [IPAddress])])
    func isSharedByThePrefix(neighbours: [IPAddress], others: [IPAddress]) throws {
        let stage = try StageUnderTest.version1_1(Configuration1_1(prefixLimit: PrefixLimit(oneASecond(30))))
        let tokens = Tokens()
        let passed = try neighbours.reduce(0) { try $0 + stage.passed($1, of: 20) }
        #expect(tokens.are(passed, of: 30), "\(passed)")
        for other in others { #expect(try stage.passed(other, of: 20) == 20) }
        #expect(try stage.counter("reasons", "prefix-limit") == stage.count(.drop))
    }

    @Test(arguments: [(16, 32), (25, 64), (32, 128), (1, 1)])
    func hasTheLengthsAsked(v4: Int, v6: Int) throws {
        let limit = PrefixLimit(oneASecond(10), v4: v4, v6: v6)
        let stage = try StageUnderTest.version1_1(Configuration1_1(prefixLimit: limit))
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
            Configuration1_1(Configuration(limit: oneASecond(10)), prefixLimit: PrefixLimit(oneASecond(25))))
        let tokens = Tokens()
        let passed = try (["10.0.0.1", "10.0.0.2", "10.0.0.3"] as [IPAddress]).map { try stage.passed($0, of: 1000) }
        #expect(tokens.are(passed[0], of: 10))
        #expect(tokens.are(passed[1], of: 10))
        #expect(tokens.are(passed.reduce(0, +), of: 25))
    }
}

extension IPAddress {
    fileprivate func turning(bit: Int) -> IPAddress {
        var turned = bytes
        turned[bit / 8] ^= 0x80 >> UInt8(bit % 8)
        return IPAddress(bytes: turned)
    }
}
