// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import StageKit
import StageTesting
import TCEgress
import Testing

@Suite("Limits", .enabled(if: mayLoad, "requires root"))
struct LimitTests {
    /// So slow that a bucket hardly fills while a test runs.
    private func slow(_ burst: UInt64) -> Police { Police(.packets(max(1, burst / 900)), burst: burst) }

    /// What passes of a full bucket, and of what has come since.
    private func isBurst(_ passed: UInt64, of burst: UInt64, since start: ContinuousClock.Instant) -> Bool {
        let fresh = (ContinuousClock.now - start) / .seconds(1) * Double(max(1, burst / 900))
        return passed >= burst && Double(passed) <= Double(burst) + fresh + 1
    }

    @Test(arguments: [1, 16, 5000] as [UInt64])
    func lets(burst: UInt64) throws {
        let start = ContinuousClock.now
        let stage = try StageUnderTest.egress(Configuration(TrafficClass("a", police: slow(burst))))
        try stage.run(datagram(), repeat: 10_000)
        let passed = try stage.count(.next)
        #expect(isBurst(passed, of: burst, since: start), "\(passed)")
        let row = try stage.row("a")
        #expect(row[0] == passed && row[2] == 10_000 - passed && row[3] == (10_000 - passed) * 60, "\(row)")
        #expect(try stage.counter("reasons", "policed") == 10_000 - passed)
    }

    /// Bits a second, of packets of one size, on all CPUs: within a percent of the rate over two seconds.
    @Test(arguments: [Rate.megabits(80), .packets(20_000)])
    func holdsTheRateOnAllCPUs(rate: Rate) throws {
        let frame = datagram(payload: 958)
        // Between two calls nothing comes: for as long the bucket must not run over.
        let burst = rate.perSecond / 4
        let stage = try StageUnderTest.egress(Configuration(TrafficClass("a", police: Police(rate, burst: burst))))
        nonisolated(unsafe) let shared = stage
        let clock = ContinuousClock()
        func passed() throws -> Double { Double(try stage.row("a")[rate.unit == .bytes ? 1 : 0]) }
        // Until it is empty.
        while try stage.row("a")[2] == 0 { try stage.run(frame, repeat: 20_000) }
        let (before, start) = (try passed(), clock.now)
        let ended = DispatchSemaphore(value: 0)
        for _ in 0..<2 {
            Thread.detachNewThread {
                while clock.now - start < .seconds(2) { _ = try? shared.run(frame, repeat: 20_000) }
                ended.signal()
            }
        }
        for _ in 0..<2 { ended.wait() }
        let share = (try passed() - before) / (Double(rate.perSecond) * ((clock.now - start) / .seconds(1)))
        let row = try stage.row("a")
        #expect(abs(share - 1) < 0.01, "\(share)")
        #expect(row[2] > row[0], "there was more than the rate: \(row)")
    }

    @Test func sparesWhatIsAllowedOrControl() throws {
        let stage = try StageUnderTest.egress(
            Configuration(TrafficClass("a", police: slow(1))) {
                $0.allow = [try! IPPrefix("198.51.100.0/25")]
                $0.control = [.named("ntp")]
            })
        try stage.run(datagram(to: "198.51.100.200"), repeat: 100)
        #expect(try stage.count(.next) <= 2)
        let before = try stage.count(.next)
        try stage.run(datagram(to: "198.51.100.1"), repeat: 100)
        try stage.run(datagram(to: "198.51.100.200", port: 123), repeat: 100)
        #expect(try stage.count(.next) - before == 200)
        #expect(try stage.counter("reasons", "allowed") == 100)
        #expect(try stage.counter("reasons", "control") == 100)
        #expect(try stage.row("a")[0] == before + 200)
    }

    @Test func classesDoNotShare() throws {
        let start = ContinuousClock.now
        let stage = try StageUnderTest.egress(
            Configuration(
                TrafficClass("a", police: slow(50)) { $0.destinationPort = Ports(1) },
                TrafficClass("b", police: slow(70)) { $0.destinationPort = Ports(2) }))
        for port: UInt16 in [1, 2, 3] { try stage.run(datagram(port: port), repeat: 1000) }
        #expect(isBurst(try stage.row("a")[0], of: 50, since: start))
        #expect(isBurst(try stage.row("b")[0], of: 70, since: start))
        #expect(try stage.row("other")[0] == 1000)
    }

    /// A class goes on where it was, whatever has come before it.
    @Test func survivesTheNextGeneration() throws {
        let start = ContinuousClock.now
        let old = try StageUnderTest.egress(Configuration(TrafficClass("a", police: slow(900))))
        try old.run(datagram(), repeat: 2000)
        let new = try StageUnderTest.egress(
            Configuration(TrafficClass("b") { $0.destinationPort = Ports(9) }, TrafficClass("a", police: slow(900))),
            after: old)
        try new.run(datagram(), repeat: 2000)
        #expect(isBurst(try old.count(.next) + new.count(.next), of: 900, since: start))
    }

    @Test func pacesByDepartureTimes() throws {
        let frame = datagram(payload: 958)  // 1000 bytes: 8 ms at 1 Mbit/s
        let stage = try StageUnderTest.egress(
            Configuration(TrafficClass("a", pace: .megabits(1))) { $0.horizon = Horizon(milliseconds: 800) })
        var times: [UInt64] = []
        var late = 0
        for _ in 0..<230 {
            var context = StageUnderTest.PacketContext()
            if try stage.run(frame, context: &context).verdict == .next {
                times.append(context.departure)
            } else {
                late += 1
            }
        }
        let gaps = zip(times.dropFirst(), times).map { $0 - $1 }
        // A stall may let the pace's own time pass.
        #expect(gaps.allSatisfy { $0 >= 8_000_000 } && gaps.count { $0 == 8_000_000 } > 60, "\(gaps)")
        #expect(late > 0 && late <= 130)
        #expect(try stage.counter("reasons", "too-late") == UInt64(late))
        #expect(try stage.row("a")[4] == UInt64(late))
    }

    @Test func countsEachSegmentWithItsHeaders() throws {
        let frame = Packet.bytes(
            .ethernet(), .ipv4(from: "192.0.2.1", to: "198.51.100.1"),
            .tcp(from: 1, to: 2, flags: .ack, options: [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0]), .payload(3000))
        for (lengths, expected) in [(Configuration.Lengths.wire, 3066 + 2 * 66), (.driver, 3066)] {
            let stage = try StageUnderTest.egress(Configuration { $0.lengths = lengths })
            var context = StageUnderTest.PacketContext()
            (context.segments, context.segmentSize) = (3, 1000)
            try stage.run(frame, context: &context)
            #expect(try stage.row("other")[1] == UInt64(expected))
        }
    }
}
