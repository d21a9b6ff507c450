// SPDX-License-Identifier: Apache-2.0

import StageKit
import StageTesting
import TCEgress
import Testing

@Suite("Against a plain reference", .enabled(if: mayLoad, "requires root"))
struct AgainstReferenceTests {
    @Test(arguments: 1...24)
    func judgesAlike(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let isIngress = seed % 4 == 0
        let configuration = random.configuration(isIngress: isIngress)
        let reference = Reference(configuration: configuration, isIngress: isIngress)
        let stage = try StageUnderTest.egress(configuration, isIngress: isIngress)
        let rows = configuration.classes.map(\.name) + [Configuration.other, Configuration.notIP]
        var reasons: [Reason: UInt64] = [:]
        var packets: [Int: (packets: UInt64, bytes: UInt64, refused: UInt64)] = [:]
        var blocks: [String: UInt64] = [:]
        for _ in 0..<400 {
            let frame = random.frame()
            var context = StageUnderTest.PacketContext()
            context.mark = random.pick([0, 1, 7, 0x10, 0x17, 0x21])
            let mark = context.mark
            let expected = reference.judge(frame, mark: mark)
            let before = wrongChecksum(frame)
            let outcome = try stage.run(frame, context: &context)
            #expect(outcome.verdict == (expected.reason.isDrop ? .drop : .next), "\(expected) \(Bytes(frame).hex)")
            reasons[expected.reason, default: 0] += 1
            var row = packets[expected.row] ?? (0, 0, 0)
            if expected.reason.isDrop {
                row.refused += 1
            } else {
                row = (row.packets + 1, row.bytes + UInt64(frame.count), row.refused)
            }
            packets[expected.row] = row
            if let block = expected.block { blocks[block, default: 0] += 1 }
            if before == nil, !expected.reason.isDrop {
                #expect(wrongChecksum(outcome.packet) == nil, "\(Bytes(frame).hex)")
            }
            let set =
                configuration.classes.indices.contains(expected.row)
                ? configuration.classes[expected.row].set : Rewriting()
            check(outcome.packet, of: frame, set)
            #expect(context.mark == set.mark.map { mark & ~$0.mask | $0.value } ?? mark)
        }
        for reason in Reason.allCases {
            #expect(try stage.counter("reasons", reason.label) == reasons[reason] ?? 0, "\(reason.label)")
        }
        for (index, name) in rows.enumerated() {
            let counted = try stage.row(name)
            let expected = packets[index] ?? (0, 0, 0)
            #expect(counted[0] == expected.packets && counted[1] == expected.bytes, "\(name): \(counted)")
            #expect(counted[6] == expected.refused, "\(name): \(counted)")
        }
        for reason in configuration.blockReasons {
            #expect(try stage.counter("blocks", reason) == blocks[reason] ?? 0, "\(reason)")
        }
    }

    /// Only what was asked for has changed.
    private func check(_ after: [UInt8], of before: [UInt8], _ set: Rewriting) {
        guard case .ip(let facts) = Reading(before) else {
            #expect(after == before)
            return
        }
        var expected = before
        if let dscp = set.dscp {
            let service = dscp.number << 2 | facts.service & 3
            if facts.source.isIPv4 {
                expected[facts.network + 1] = service
                expected[facts.network + 10] = after[facts.network + 10]
                expected[facts.network + 11] = after[facts.network + 11]
            } else {
                expected[facts.network] = 0x60 | service >> 4
                expected[facts.network + 1] = service << 4 | before[facts.network + 1] & 15
            }
        }
        if let mss = set.mss, facts.protocolNumber == 6, !facts.isLaterFragment,
            let place = segmentSize(before, facts.transport), before.word(place) > UInt16(mss)
        {
            expected[place] = UInt8(mss >> 8)
            expected[place + 1] = UInt8(mss & 0xff)
            expected[facts.transport + 16] = after[facts.transport + 16]
            expected[facts.transport + 17] = after[facts.transport + 17]
        }
        #expect(after == expected, "\(set): \(Bytes(before).hex)")
    }

    /// Where a SYN says how large segments may be.
    private func segmentSize(_ frame: [UInt8], _ tcp: Int) -> Int? {
        guard frame.count >= tcp + 14, frame[tcp + 13] & 2 != 0 else { return nil }
        var option = tcp + 20
        let end = tcp + Int(frame[tcp + 12] >> 4) * 4
        while option < min(end, frame.count), frame[option] != 0 {
            if frame[option] == 1 {
                option += 1
                continue
            }
            guard option + 2 <= min(end, frame.count), frame[option + 1] >= 2 else { return nil }
            if frame[option] == 2 {
                return frame[option + 1] == 4 && option + 4 <= min(end, frame.count) ? option + 2 : nil
            }
            option += Int(frame[option + 1])
        }
        return nil
    }
}
