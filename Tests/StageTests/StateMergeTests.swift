// SPDX-License-Identifier: Apache-2.0

import BPF
import Dispatch
import Glibc
import StageKit
import StageTesting
import Synchronization
import Testing

/// What bpf/include/sluice/state.h makes of state in an earlier layout.
@Suite("State in an earlier layout", .enabled(if: getuid() == 0, "needs root, to load programs"))
struct StateMergeTests {
    private func tally(_ object: String, after earlier: StageUnderTest? = nil) throws -> StageUnderTest {
        let plan = StagePlan(
            object: "\(object).bpf.o", program: "tally_sources",
            constants: ["verdict": .unsigned(UInt64(Verdict.drop.number))], verdicts: [.drop])
        return try StageUnderTest(
            plan, objects: StageUnderTest.objects(of: "fixture-stage"), sharingStateWith: earlier)
    }

    private func packet(_ source: UInt32) -> [UInt8] {
        Packet.bytes(
            .ethernet(), .ipv4(from: IPAddress("10.0.\(source >> 8).\(source & 255)")!, to: "192.0.2.2"),
            .udp(from: 1, to: 2), .payload(18))
    }

    private func count(_ source: UInt32, _ stage: StageUnderTest) throws -> UInt64? {
        try stage.value(in: "tally", key: BPF.bytes(of: (10 << 24 | source).bigEndian))?.suffix(8).withUnsafeBytes {
            $0.loadUnaligned(as: UInt64.self)
        }
    }

    @Test func eachEntryIsMergedOnceAndTheOldMapStaysAsItIs() throws {
        let old = try tally("tally")
        for source in 1...5000 as ClosedRange<UInt32> { try old.run(packet(source)) }
        let new = try tally("tally_merge", after: old)
        // In use before the merge: one that the old one has, and one that it has not.
        for source in [7, 9000, 7] as [UInt32] { try new.run(packet(source)) }
        #expect(try count(8, new) == nil)
        // Two runs, as one is of 4,096 entries.
        #expect(try new.mergeState() == 5000)
        #expect(try new.mergeState() == 5000)
        #expect(try count(7, new) == 3)
        #expect(try count(8, new) == 1)
        #expect(try count(9000, new) == 1)
        #expect(try count(7, old) == 1)
    }

    @Test func anOldValueIsTakenOverOnFirstUse() throws {
        let old = try tally("tally")
        for _ in 0..<5 { try old.run(packet(7)) }
        let new = try tally("tally_lazy", after: old)
        #expect(try count(7, new) == nil)
        for source in [7, 7, 8] as [UInt32] { try new.run(packet(source)) }
        #expect(try count(7, new) == 7)
        #expect(try count(8, new) == 1)
        #expect(try count(7, old) == 5)
    }

    @Test func processorsThatMissAKeyAtOnceLoseNothing() throws {
        let sources: UInt32 = 3000
        let old = try tally("tally")
        for source in 1...sources { try old.run(packet(source)) }
        let new = try tally("tally_lazy", after: old)
        // Both go through the same sources in the same order, from the same moment on.
        nonisolated(unsafe) let stage = new
        let packets = (1...sources).map(packet)
        let (start, done) = (DispatchSemaphore(value: 0), DispatchGroup())
        let failed = Atomic(0)
        for _ in 1...2 {
            DispatchQueue.global().async(group: done) {
                start.wait()
                for packet in packets where (try? stage.run(packet).verdict) != .drop {
                    failed.add(1, ordering: .relaxed)
                }
            }
        }
        for _ in 1...2 { start.signal() }
        done.wait()
        #expect(failed.load(ordering: .relaxed) == 0)
        for source in 1...sources { #expect(try count(source, new) == 3) }
    }

    @Test func theValuesOfAllProcessorsAreMerged() throws {
        let old = try BPFObject(contentsOf: BuildProducts.object("fixture", of: "fixture-stage"))
        try old.load(program: "check", as: .xdp)
        // Each processor's own value becomes that.
        try old.loadedMap("marks").update(
            key: BPF.bytes(of: UInt32(0)), value: BPF.bytes(of: UInt64(1000)) + BPF.bytes(of: UInt64(1)))
        let new = try BPFObject(contentsOf: BuildProducts.object("fixture_v2", of: "fixture-stage"))
        let (before, marks) = (try #require(new.map("marks_before")), try #require(new.map("marks")))
        try before.reuse(old.loadedMap("marks"))
        try new.load(program: "check", as: .xdp, with: ["sluice_merge_marks_before"])
        var context = BPF.bytes(of: UInt64(10)) + [UInt8](repeating: 0, count: 24)
        try new.program("sluice_merge_marks_before").run(context: &context)
        let processors = UInt64(BPFMap.possibleCPUs)
        #expect(try marks.loaded().counters(at: 0) == [processors, 1000 * processors])
    }
}
