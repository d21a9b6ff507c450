// SPDX-License-Identifier: Apache-2.0

import PacketSamples
import StageKit
import StageTesting
import Testing

@testable import L4LB

/// Samples as the program of version 1.1 makes them.
@Suite("Sampling", .enabled(if: Lab.isAvailable, "needs root, to load programs"))
struct SamplingTests {
    private static let flow = Flow(.tcp, from: "10.0.0.1", 4000, to: "198.51.100.10", 80)

    /// By `direct` a packet is still one to the VIP afterwards: a test run goes on with what it has made of it.
    private func stage(_ perSecond: Int?, by encapsulation: Pool.Encapsulation = .direct) throws -> StageUnderTest {
        let sampling = perSecond.map { Sampling(packetsPerSecond: $0) }
        return try StageUnderTest(
            Configuration1_1(.sample(encapsulation: encapsulation), sampling: sampling).plan(),
            objects: StageUnderTest.objects(of: "l4lb-1_1"))
    }

    private func samples(of stage: StageUnderTest) throws -> [BalancedPacket] {
        try stage.records(of: "samples").map {
            try #require(BalancedPacket(Bytes($0)) { Double($1) })
        }
    }

    @Test func saysWhatBecameOfAPacket() throws {
        let stage = try stage(1000, by: .gue)
        let frame = Self.flow.frame
        let sent = try stage.run(frame)
        let sample = try #require(try samples(of: stage).first)
        #expect(sample.outcome == .forwarded && sample.service == 0 && sample.frameLength == UInt16(frame.count))
        #expect(sample.sourceText == "10.0.0.1:4000" && sample.destinationText == "198.51.100.10:80")
        #expect(sample.first == UInt16(sent.packet[14 + 19]) - 10 && sample.sentTo == sample.first)
        #expect(sample.packets == 1 && sample.protocolText == "tcp" && !sample.isDropped)
    }

    /// As many as were asked for, bursts of 64 aside, one for each run; and each says how many packets there were.
    @Test func areAsManyAsAskedFor() throws {
        let stage = try stage(1000)
        let clock = ContinuousClock()
        var samples: [BalancedPacket] = []
        let took = try clock.measure {
            for _ in 0..<4 { try stage.run(Self.flow.frame, repeat: 500_000) }
            samples = try self.samples(of: stage)
        }
        #expect(Double(samples.count) <= 4 * 64 + took / .milliseconds(1) + 1)
        #expect(samples.count > 20)
        let seen = samples.map(\.packets)
        // Each run may be on another CPU, with its own count.
        #expect(seen.allSatisfy { $0 <= 2_000_000 } && seen.max()! > 100_000)
    }

    /// Whoever does not read loses samples; packets are what they were.
    @Test func aReaderThatIsNotThereHurtsNobody() throws {
        let (stage, plain) = (try stage(100_000), try stage(nil))
        let expected = try plain.run(Self.flow.frame)
        var runs: UInt64 = 0
        for _ in 0..<8 {
            #expect(try stage.run(Self.flow.frame, repeat: 1) == expected)
            try stage.run(Self.flow.frame, repeat: 500_000)
            runs += 500_001
        }
        #expect(try stage.counter("verdicts", "forwarded") == runs)
        // The ring has been full: of 72 bytes each there is no room for more.
        let held = try samples(of: stage).count
        #expect(held == (1 << 20) / 72)
        // And goes on once it is read.
        try stage.run(Self.flow.frame, repeat: 1000)
        #expect(try !samples(of: stage).isEmpty)
    }

    @Test func offIsOff() throws {
        let stage = try stage(nil)
        try stage.run(Self.flow.frame, repeat: 10_000)
        #expect(try samples(of: stage).isEmpty)
    }

    @Test func whatVersion1_0SaidHoldsIn1_1() throws {
        let earlier = try StageUnderTest(
            Configuration.sample().plan(), objects: StageUnderTest.objects(of: "l4lb-1_0"))
        let before = try earlier.run(Self.flow.frame).packet
        let first = Configuration.sample().servers[Int(before[14 + 19]) - 11]
        var word = ServerWord(tag: first.tag)
        word.wanted = .draining
        try earlier.make(
            StageChange(
                updates: [
                    MapUpdate(
                        map: "servers_live",
                        entries: [
                            MapEntry(key: Bytes(number: UInt32(first.number)), value: Bytes(number: word.raw))
                        ])
                ], summary: []))
        let now = try earlier.run(Self.flow.frame).packet
        #expect(now[14 + 19] != before[14 + 19])
        let newer = try StageUnderTest(
            Configuration1_1(.sample(), sampling: .standard).plan(), objects: StageUnderTest.objects(of: "l4lb-1_1"),
            sharingStateWith: earlier)
        #expect(try newer.run(Self.flow.frame).packet == now)
    }
}
