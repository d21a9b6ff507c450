// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc
import StageKit
import StageTesting
import Testing

private let packet = Packet.bytes(
    .ethernet(), .ipv4(from: "192.0.2.1", to: "192.0.2.2"), .udp(from: 1, to: 2), .payload(18))

/// What bpf/include/sluice/xdp_stage.h makes of a stage's body.
@Suite("The ABI of an XDP stage", .enabled(if: getuid() == 0, "needs root, to load programs"))
struct StageABITests {
    private func noop(_ verdict: Verdict, counting: Bool = true, frags: Bool = false) throws -> StageUnderTest {
        let plan = StagePlan(
            object: "noop.bpf.o", program: "noop", frags: frags,
            constants: ["verdict": .unsigned(UInt64(verdict.number))], verdicts: [verdict])
        return try StageUnderTest(plan, objects: StageUnderTest.objects(of: "noop"), counting: counting)
    }

    private func fixture(_ object: String, _ program: String) throws -> StageUnderTest {
        let plan = StagePlan(object: "\(object).bpf.o", program: program, verdicts: Verdict.allCases)
        return try StageUnderTest(plan, objects: StageUnderTest.objects(of: "fixture-stage"))
    }

    @Test(arguments: Verdict.allCases, [false, true])
    func givesAndCountsEachVerdict(verdict: Verdict, frags: Bool) throws {
        let stage = try noop(verdict, frags: frags)
        #expect(try stage.run(packet).verdict == verdict)
        for other in Verdict.allCases { #expect(try stage.count(other) == (other == verdict ? 1 : 0)) }
    }

    @Test func countsNothingIfTold() throws {
        let stage = try noop(.drop, counting: false)
        #expect(try stage.run(packet).verdict == .drop)
        #expect(try stage.count(.drop) == 0)
    }

    @Test func abortsWhatGivesNoVerdict() throws {
        let stage = try fixture("faulty", "invalid_verdict")
        #expect(try stage.run(packet).verdict == .aborted)
        #expect(try stage.count(.aborted) == 0)
    }

    @Test func theVerifierSaysWhyItRefuses() throws {
        let error = #expect(throws: BPFError.self) { try fixture("refused", "refused") }
        #expect(error?.verifierLog?.contains("invalid access to packet") == true, "\(error as (any Error)?)")
    }

    /// All rows of sluice_counters, and what a stage does without one behind it and with an empty slot.
    @Test(arguments: [(0, Verdict.pass, [5]), (1, .drop, [5, 7])] as [(Int, Verdict, [Int])])
    func goesOnToNothing(slot: Int, verdict: Verdict, rows: [Int]) throws {
        let object = try BPFObject(contentsOf: BuildProducts.object("noop", of: "noop"))
        try object.setConstant("sluice_next", to: slot)
        try object.setConstant("sluice_on_fault", to: Verdict.drop.number)
        try object.load(program: "noop", as: .xdp)
        #expect(try object.program("noop").testRun(packet: packet).returnValue == verdict.number)
        let counters = try object.loadedMap("sluice_counters")
        #expect(counters.maxEntries == 8)
        for row in 0..<8 {
            let expected: [UInt64] = rows.contains(row) ? [1, UInt64(packet.count)] : [0, 0]
            #expect(try counters.counters(at: UInt32(row)) == expected, "row \(row)")
        }
    }

    @Test func isWhatTheManagerExpects() throws {
        let object = try BPFObject(contentsOf: BuildProducts.object("fixture", of: "fixture-stage"))
        let chain = try #require(object.map("sluice_chain"))
        #expect(chain.type == .programArray && chain.maxEntries == 33)
        #expect(
            object.constantNames.filter { $0.hasPrefix("sluice_") }
                == ["sluice_counting", "sluice_frags", "sluice_next", "sluice_on_fault"])
        #expect(object.maps.filter(\.isState).map(\.name) == ["marks"])
        let other = try BPFObject(contentsOf: BuildProducts.object("fixture_v2", of: "fixture-stage"))
        let (first, second) = try (#require(object.map("marks")), #require(other.map("marks")))
        #expect(first.valueSize == second.valueSize)
        #expect(first.schema(of: "") != second.schema(of: ""))
    }
}
