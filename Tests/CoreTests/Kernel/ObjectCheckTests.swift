// SPDX-License-Identifier: Apache-2.0

import BPF
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

@Suite struct ObjectCheckTests {
    private static func check(_ maps: [String: MapPlan]) throws {
        let plan = StagePlan(object: "greedy.bpf.o", program: "greedy", frags: true, maps: maps, verdicts: [.next])
        let object = try BPFObject(contentsOf: BuildProducts.object("greedy", of: "fixture-stage"))
        _ = try ObjectCheck(stage: "a", plugin: "fixture-stage", plan: plan, object: object).run()
    }

    @Test func aPlanPutsNoDescriptorsIntoMaps() throws {
        let entry = MapEntry(key: Bytes([0, 0, 0, 0]), value: Bytes([3, 0, 0, 0]))
        try Self.check([:])
        try Self.check(["sluicefixture_pinned": MapPlan(entries: [entry])])
        let error = #expect(throws: (any Error).self) { try Self.check(["programs": MapPlan(entries: [entry])]) }
        #expect("\(error!)".contains("a prog_array, whose values are descriptors"), "\(error!)")
    }

    @Test func whatIsChangedWhileLiveIsSmallEnoughToBeReadEachTime() throws {
        func check(entries: UInt32) throws {
            var plan = StagePlan(object: "live.bpf.o", program: "live", verdicts: [.next], live: ["live_ports"])
            plan.maps["live_ports"] = MapPlan(maxEntries: entries)
            let object = try BPFObject(contentsOf: BuildProducts.object("live", of: "fixture-stage"))
            _ = try ObjectCheck(stage: "a", plugin: "fixture-stage", plan: plan, object: object).run()
        }
        try check(entries: 65_536)
        let error = #expect(throws: (any Error).self) { try check(entries: 65_537) }
        #expect("\(error!)".contains("65537 entries and 524296 bytes; at most 65536"), "\(error!)")
    }

    @Test func aCgroupsNumberGoesWhereThereIsRoomForIt() throws {
        let object = try BPFObject(contentsOf: BuildProducts.object("live", of: "fixture-stage"))
        for map in ["live_ports", "sluice_counters", "none"] {
            let reference = CgroupReference("/edge.slice", map: map, key: Bytes(number: UInt32(0)))
            let plan = StagePlan(object: "live.bpf.o", program: "live", verdicts: [.next], cgroups: [reference])
            let check = ObjectCheck(stage: "a", plugin: "fixture-stage", plan: plan, object: object)
            let error = #expect(throws: (any Error).self) { try check.run() }
            #expect(
                "\(error!)".contains(
                    "that takes an array or a hash, no state and not frozen, with keys of 4 and values of 16 bytes"),
                "\(error!)")
        }
    }
}
