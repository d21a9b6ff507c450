// SPDX-License-Identifier: Apache-2.0

import PacketSamples
import StageKit
import StageTesting
import Testing

@testable import VolumetricDoS

@Suite("Samples")
struct PacketSampleTests {
    /// What the reference sees in a whole, proper frame must be seen in its first 112 bytes.
    @Test func readsWhatTheReferenceReads() throws {
        var compared = 0
        for seed in 0..<4000 {
            var random = SeededGenerator(seed: UInt64(seed))
            let frame = random.frame()
            guard case .packet(var expected, _) = Parsed(frame) else { continue }
            let sample = try #require(PacketSample(.sample(frame, seen: 7, cpu: 3, reason: .rule)))
            let facts = try #require(sample.facts, "seed \(seed)")
            expected.payload = nil
            // Headers may end behind what was captured; what is seen must be right all the same.
            if facts.ports == nil { expected.ports = nil }
            if facts.tcpFlags == nil { expected.tcpFlags = nil }
            if facts.icmp == nil { expected.icmp = nil }
            if facts.protocol != expected.protocol || facts.fragment != expected.fragment {
                #expect(frame.count > 112, "seed \(seed)")
                continue
            }
            #expect(facts == expected, "seed \(seed)")
            #expect(frame.count > 112 || facts.ports == Parsed.ports(frame), "seed \(seed)")
            #expect((sample.seen, sample.cpu, sample.reason) == (7, 3, .rule))
            #expect(sample.length == UInt16(frame.count))
            compared += 1
        }
        #expect(compared > 1000)
    }

    @Test func takesTheLengthFromTheHeader() throws {
        let frame = Packet.bytes(
            .ethernet(), .vlan(5), .vlan(6), .ipv4(from: "10.0.0.1", to: "10.0.0.2"), .udp(from: 123, to: 9),
            .payload(1400))
        let sample = try #require(PacketSample(.sample(frame, seen: 1)))
        let facts = try #require(sample.facts)
        #expect(facts.length == 1428)
        #expect(facts.vlans == [5, 6])
        #expect(facts.ports == .init(source: 123, destination: 9))
    }

    @Test func anyBytesGiveFactsOrNone() {
        for seed in 0..<20_000 {
            var random = SeededGenerator(seed: UInt64(seed))
            var frame = random.frame()
            for _ in 0..<random.number(0...6) { frame[random.number(12...frame.count - 1)] = random.number(0...255) }
            let captured = random.number(0...112)
            _ = PacketSample(.sample(frame, seen: 1, captured: captured))
        }
        #expect(PacketSample(Bytes()) == nil)
        #expect(PacketSample(Bytes([UInt8](repeating: 0xff, count: 128))) == nil)
        #expect(PacketSample(Bytes([UInt8](repeating: 0, count: 128)))?.facts == nil)
    }

    @Test func standsForWhatItsCPUJudgedSinceTheLast() throws {
        var weights = SampleWeights()
        let frame = Packet.bytes(.ethernet(), .ipv4(from: "10.0.0.1", to: "10.0.0.2"), .udp(from: 1, to: 2))
        func weight(_ seen: UInt64, _ cpu: UInt32) throws -> Double {
            let sample = try #require(PacketSample(.sample(frame, seen: seen, cpu: cpu)))
            return weights.weight(cpu: sample.cpu, seen: sample.seen)
        }
        #expect(try weight(5000, 0) == 1)
        #expect(try weight(100, 1) == 1)
        #expect(try weight(6000, 0) == 1000)
        #expect(try weight(101, 1) == 1)
        // A new generation counts anew.
        #expect(try weight(3, 0) == 1)
        #expect(try weight(13, 0) == 10)
        #expect(try weight(1 << 40, 0) == Double(SampleWeights.maximum))
    }

    /// The kernel's reasons to drop, whichever there are, are told apart from those of packets that go on.
    @Test func reasonsHaveAnOutcome() {
        for reason in Reason.allCases {
            let outcome = reason.outcome
            if reason.label.hasSuffix("-dry-run") { #expect(outcome == .passed, "\(reason)") }
            if ["malformed", "rule", "limit"].contains(reason.label) { #expect(outcome == .dropped, "\(reason)") }
        }
        #expect(Reason.passed.outcome == .passed)
        #expect(Reason.malformedPassed.outcome == .passed)
        #expect(Reason.allowed.outcome == .exempt)
        #expect(Reason.arp.outcome == .exempt)
    }
}

extension Parsed {
    fileprivate static func ports(_ frame: [UInt8]) -> PacketFacts.Ports? {
        if case .packet(let facts, _) = Parsed(frame) { facts.ports } else { nil }
    }
}
