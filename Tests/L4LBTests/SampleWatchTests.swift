// SPDX-License-Identifier: Apache-2.0

import PacketSamples
import StageKit
import StageTesting
import Testing

@testable import L4LB

extension Bytes {
    /// A `struct l4lb_sample` of bpf/l4lb/types.h.
    fileprivate static func sample(
        _ flow: Flow, seen: UInt64, cpu: UInt32 = 0, service: UInt16 = 0, way: [UInt16] = [1, 2, 3, 4],
        place: UInt8 = 0, outcome: Outcome = .forwarded, flags: TCPFlags = .ack, length: UInt16 = 100
    ) -> Bytes {
        var bytes = Bytes()
        bytes.append(seen)
        bytes.append(cpu)
        bytes.append(length)
        bytes.append(service)
        bytes.append(bytes: flow.source.mapped)
        bytes.append(bytes: flow.destination.mapped)
        bytes.append(bigEndian: flow.sourcePort)
        bytes.append(bigEndian: flow.destinationPort)
        for server in way { bytes.append(server) }
        let marks = place | (flow.source.isIPv4 ? 0 : 32)
        bytes.append(bytes: [UInt8(outcome.rawValue), flow.protocol.number, flags.rawValue, marks])
        return bytes
    }
}

@Suite("Samples of the load balancer")
struct SampleWatchTests {
    private static let web = Flow(.tcp, from: "10.0.0.1", 4000, to: "198.51.100.10", 80)
    private static let dns = Flow(.udp, from: "2001:db8:5::9", 5353, to: "2001:db8:1::10", 53)

    private func watch(sampling: Sampling? = .standard) -> SampleWatch {
        SampleWatch(Configuration1_1(.sample(), sampling: sampling))
    }

    /// 1,000 samples a second of one CPU for ten seconds, each for 100 packets; every fourth is the DNS flow's.
    private func full() -> SampleWatch {
        var watch = watch()
        for number in 0..<10_000 {
            let seen = UInt64(number + 1) * 100
            let record: Bytes =
                number % 4 == 0
                ? .sample(Self.dns, seen: seen, service: 3, way: [2, 0, 0, 0], outcome: .tooBig, flags: [])
                : .sample(Self.web, seen: seen)
            watch.take([record], at: Double(number) / 1000)
        }
        return watch
    }

    @Test(arguments: [
        ("flows", ["10.0.0.1:4000", "198.51.100.10:80", "tcp", "http", "edge1"], "75.0%"),
        ("sources", ["10.0.0.1"], "75.0%"), ("destinations", ["198.51.100.10"], "75.0%"),
        ("services", ["http"], "75.0%"), ("servers", ["edge1"], "75.0%"), ("verdicts", ["forwarded"], "75.0%"),
    ])
    func ranks(top: String, first: [String], share: JSON) throws {
        let table = try #require(try full().answer(["top": .string(top)], at: 9.999))
        #expect(Array(table.rows[0].prefix(first.count)) == first.map { .string($0) })
        #expect(table.rows.count == 2)
        let numbers = table.rows.map { $0.suffix(4) }
        guard case .integer(let rate) = numbers[0].first else { throw StageError("no number: \(table.rows)") }
        #expect((73_000...77_000).contains(rate))
        #expect(numbers[0].contains(share))
        // What is too big is dropped.
        #expect(numbers[0].last == 0 && numbers[1].last == numbers[1].first)
    }

    @Test func listsTheNewest() throws {
        let table = try #require(try full().answer(["top": "samples", "limit": 2], at: 10.4))
        #expect(
            table.columns == [
                "age", "verdict", "service", "first", "sent-to", "source", "destination", "protocol", "tcp-flags",
                "length", "packets", "remarks",
            ])
        #expect(
            table.rows[0] == [
                "0.4s", "forwarded", "http", "edge1", "edge1", "10.0.0.1:4000", "198.51.100.10:80", "tcp", "ack", 100,
                100, "",
            ])
        #expect(table.rows.count == 2)
        let dns = try #require(try full().answer(["top": "samples", "limit": 1000], at: 10.4)).rows[3]
        #expect(
            dns == [
                "0.4s", "too-big", "dns6", "edge2", "", "[2001:db8:5::9]:5353", "[2001:db8:1::10]:53", "udp", "", 100,
                100, "",
            ])
    }

    /// A redirector's packet: where it came first is not known, where it goes is.
    @Test func namesWhereAPacketGoesOnTo() throws {
        var watch = watch()
        watch.take(
            [.sample(Self.web, seen: 1, way: [0, 2, 3, 4], place: 2, outcome: .onward, flags: [.psh, .ack])], at: 2)
        let row = try #require(try watch.answer(["top": "samples"], at: 2)).rows[0]
        #expect(row[1...4] == ["onward", "http", "", "edge3"] && row[8] == "psh,ack" && row[10] == 1)
        #expect(try #require(try watch.answer(["top": "servers"], at: 3)).rows.isEmpty)
    }

    @Test func tellsWhatWasLost() throws {
        var watch = watch()
        watch.take([.sample(Self.web, seen: 1)], lost: 7, at: 2)
        #expect(
            try #require(try watch.answer(["top": "samples"], at: 3)).notes == ["7 samples were lost since the start"])
    }

    @Test func refusesWhatItDoesNotKnow() throws {
        for (question, word) in [
            (["top": "colours"], "expected one of samples, flows, "), (["top": "flows", "limit": 0], "1 to 1000"),
            ([:], "top"), (["top": "flows", "of": 3], "of"),
        ] as [(JSON, String)] {
            let error = #expect(throws: StageError.self) { try watch().answer(question, at: 1) }
            #expect("\(error!)".contains(word), "\(question): \(error!)")
        }
        let error = #expect(throws: StageError.self) { try watch(sampling: nil).answer(["top": "flows"], at: 1) }
        #expect("\(error!)".contains("has no `sample`"))
        // That is asked of the health checks.
        #expect(try watch(sampling: nil).answer(["top": "checks"], at: 1) == nil)
    }

    /// However many come, whatever they hold.
    @Test func isBoundedAndTakesAnything() throws {
        var watch = watch()
        var random = SeededGenerator(seed: 3)
        for number in 0..<50_000 {
            var raw = Bytes.sample(Self.web, seen: UInt64(number)).raw
            for _ in 0..<random.number(0...8) { raw[random.number(0...63)] = random.number(0...255) }
            watch.take([Bytes(raw), Bytes(raw.dropLast()), Bytes()], at: 2 + Double(number) / 25_000)
        }
        #expect(MemoryLayout<BalancedPacket>.stride == 64)
        #expect(watch.kept.newest <= 2000 && watch.kept.window <= 9 * SampleWindow<BalancedPacket>.samplesPerStep)
        for top in ["samples", "flows", "sources", "destinations", "services", "servers", "verdicts"] {
            let rows = try #require(try watch.answer(["top": .string(top), "limit": 1000], at: 4)).rows
            #expect(!rows.isEmpty && rows.count <= 1000)
        }
        // They are forgotten.
        #expect(try #require(try watch.answer(["top": "flows"], at: 30)).rows.isEmpty)
    }
}
