// SPDX-License-Identifier: Apache-2.0

import PacketSamples
import StageKit
import StageTesting
import Testing

@testable import VolumetricDoS

@Suite("Heavy hitters")
struct HeavyHittersTests {
    /// 1,000 samples a second of one CPU for ten seconds, each for 100 packets.
    private func watch(_ frame: (Int, inout SeededGenerator) -> ([UInt8], Reason)) -> TrafficWatch {
        var random = SeededGenerator(seed: 1)
        var watch = TrafficWatch(nil)
        for number in 0..<10_000 {
            let (bytes, reason) = frame(number, &random)
            watch.take([.sample(bytes, seen: UInt64(number + 1) * 100, reason: reason)], at: Double(number) / 1000)
        }
        return watch
    }

    private func datagram(_ source: IPAddress, _ port: UInt16 = 53, payload: Int = 18) -> [UInt8] {
        Packet.bytes(
            .ethernet(), source.isIPv4 ? .ipv4(from: source, to: "192.0.2.1") : .ipv6(from: source, to: "2001:db8::1"),
            .udp(from: port, to: 4000), .payload(payload))
    }

    @Test func listsAddressesAndPrefixesOfTheRest() throws {
        let watch = watch { number, random in
            let source: IPAddress =
                switch number % 10 {
                case 0..<5: "198.51.100.7"
                case 5..<8: IPAddress(bytes: [203, 0, 113, random.number(0...255)])
                case 8: IPAddress(bytes: [10, 9, random.number(0...255), random.number(0...255)])
                default: IPAddress(bytes: (0..<4).map { _ in random.number(64...127) })
                }
            return (self.datagram(source), number % 10 < 5 ? .rule : .passed)
        }
        let table = try watch.answer(["top": "sources"], at: 9.999)
        #expect(table.columns.prefix(2) == ["source", "packets-per-second"])
        let rows = table.rows.map { $0[0] }
        #expect(rows.prefix(3) == ["198.51.100.7", "203.0.113.0/24", "10.9.0.0/16"])
        #expect(table.rows[0][3] == "50.0%")
        guard case .integer(let rate) = table.rows[0][1], case .integer(let dropped) = table.rows[0][4],
            case .integer(let bytes) = table.rows[0][2]
        else { throw StageError("no numbers: \(table.rows[0])") }
        #expect((48_000...52_000).contains(rate))
        #expect(dropped == rate)
        #expect((rate * 59...rate * 61).contains(bytes))
        #expect(table.rows[1][4] == 0)
        // Each packet is in one row.
        let sum = table.rows.reduce(into: Int64(0)) { if case .integer(let value) = $1[1] { $0 += value } }
        #expect((97_000...103_000).contains(sum))
    }

    @Test(arguments: [
        ("source-ports", "udp/53"), ("destination-ports", "udp/4000"), ("protocols", "udp"), ("lengths", "46"),
        ("packet-ttls", "64"), ("reasons", "passed"), ("destinations", "2001:db8::1"), ("sources", "2001:db8:5::9"),
    ])
    func answersEachQuestion(top: String, first: String) throws {
        let watch = watch { _, _ in (self.datagram("2001:db8:5::9", payload: top == "lengths" ? 0 : 18), .passed) }
        let table = try watch.answer(["top": .string(top)], at: 9.999)
        #expect(table.rows.first?.first == .string(top == "lengths" ? "48" : first))
    }

    @Test func namesFlags() throws {
        let watch = watch { number, _ in
            let flags: TCPFlags = number % 3 == 0 ? [.syn] : [.psh, .ack]
            return (
                Packet.bytes(
                    .ethernet(), .ipv4(from: "10.0.0.1", to: "10.0.0.2"), .tcp(from: 1, to: 2, flags: flags)), .passed
            )
        }
        #expect(try watch.answer(["top": "tcp-flags", "limit": 1], at: 9.999).rows.map { $0[0] } == ["psh,ack"])
    }

    @Test func refusesWhatItDoesNotKnow() {
        let watch = TrafficWatch(nil)
        for (question, word) in [
            (["top": "colours"], "source-ports"), (["top": "sources", "limit": 0], "1 to 1000"), ([:], "top"),
            (["top": "sources", "of": 3], "of"), (["top": "proposals"], "auto"), (3, "object"),
        ] as [(JSON, String)] {
            let error = #expect(throws: StageError.self) { try watch.answer(question, at: 1) }
            let text = error.map { "\($0)" } ?? ""
            #expect(text.contains(word), "\(question): \(text)")
        }
    }

    @Test func forgetsAfterTenSeconds() throws {
        let watch = watch { _, _ in (self.datagram("10.0.0.1"), .passed) }
        #expect(try watch.answer(["top": "sources"], at: 25).rows.isEmpty)
    }

    /// However many sources there are, and however many samples come.
    @Test func isBounded() throws {
        var watch = TrafficWatch(AutoConfiguration())
        var random = SeededGenerator(seed: 2)
        var sources: Set<UInt64> = []
        let frame = datagram("10.0.0.1")
        for number in 0..<150_000 {
            var other = frame
            let source = random.next()
            sources.insert(source & 0xffff_ffff)
            for byte in 0..<4 { other[26 + byte] = UInt8(truncatingIfNeeded: source >> (8 * byte)) }
            // All within two seconds.
            watch.take([.sample(other, seen: UInt64(number + 1) * 70)], at: Double(number) / 75_000)
        }
        #expect(sources.count > 140_000)
        #expect(MemoryLayout<Observation>.stride == 64)
        #expect(watch.sampleCount <= 8 * SampleWindow<Observation>.samplesPerStep)
        // What is kept speaks for what is not.
        let table = try watch.answer(["top": "protocols"], at: 1.999)
        guard case .integer(let rate) = table.rows[0][1] else { throw StageError("no number") }
        #expect((5_000_000...5_500_000).contains(rate))
    }
}
