// SPDX-License-Identifier: Apache-2.0

import SluiceObjects
import StageTesting
import Testing

@testable import BPF

extension BPFTests {
    /// What becomes of a program that is woven into a stage; that it judges as before, Tests/CoreTests/Adoption shows.
    @Suite struct WeaverTests {
        private static func code(_ object: BPFObject, _ program: String) throws -> ProgramCode {
            try object.loadCode(program: program, as: .xdp)
        }

        private static func object(_ name: String) throws -> BPFObject {
            try BPFObject(contentsOf: BuildProducts.object(name, of: "fixture-stage"))
        }

        private static func weave(_ name: String, _ program: String, called: Bool) throws -> BPFObject {
            let object = try object(name)
            let code = try code(object, program)
            let own = called ? OwnProgram.adoptCalled : .adopt
            let stage = try BPFObject(own: own, for: .xdp)
            try stage.setConstant("sluice_next", to: 2)
            try stage.load(program: own.rawValue, as: .xdp, around: code, named: program, called: called)
            return stage
        }

        @Test(arguments: [
            "shapes": [
                "many_exits", "exit_in_loop", "big", "loop_callback", "each_entry", "global_function",
                "static_functions",
                "global_data", "pinned_map", "rewrite", "untyped_context",
            ],
            "corners": [
                "backwards", "wide_verdict", "relocated", "maps_in_a_map", "locked", "with_timer", "sections",
                "far_ends",
            ],
        ])
        func takesTheBodysPlace(object: String, programs: [String]) throws {
            for program in programs {
                _ = try Self.weave(object, program, called: false)
                _ = try Self.weave(object, program, called: true)
            }
        }

        @Test(arguments: [
            ("shapes", "deep", "it uses up to 512 bytes of the stack's 512"),
            ("corners", "too_far_an_end", "one of its exits is too far from its end"),
        ])
        func isCalledWhereItCannot(object: String, program: String, says: String) throws {
            let error = #expect(throws: BPFError.self) { try Self.weave(object, program, called: false) }
            #expect(error?.description.contains(says) == true, "\(error as (any Error)?)")
        }

        /// What the stage keeps must lie below all that the program may write to.
        @Test(arguments: [
            ("shapes", "deep", 512...512), ("corners", "backwards", 32...40), ("corners", "wide_verdict", 0...0),
        ])
        func theVerifierSaysHowDeepTheStackIs(object: String, program: String, depth: ClosedRange<Int>) throws {
            let object = try Self.object(object)
            #expect(depth.contains(try Self.code(object, program).stackDepth))
        }

        @Test func aRefusedProgramCarriesTheVerifiersWholeLog() throws {
            let object = try Self.object("refused")
            let error = #expect(throws: BPFError.self) { try Self.code(object, "refused") }
            #expect(error?.verifierLog?.contains("0: R1=ctx") == true, "\(error?.verifierLog ?? "")")
            #expect(error?.verifierVerdict?.contains("is outside of the ") == true)
        }

        /// Our own stage is under a free licence; what is woven into it must be looked at under its own.
        @Test func theObjectsLicenceHolds() throws {
            _ = try Self.weave("proprietary", "modest", called: false)
            let error = #expect(throws: BPFError.self) {
                try Self.weave("proprietary", "presumptuous", called: false)
            }
            #expect(error?.verifierLog?.contains("GPL") == true, "\(error as (any Error)?)")
        }

        @Test func whatIsNotForTheHookIsNoCode() throws {
            let object = try Self.object("corners")
            let error = #expect(throws: BPFError.self) { try Self.code(object, "of_a_device") }
            #expect(error?.description.contains("its section is none that this hook knows") == true)
        }
    }
}
