// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import SluiceObjects
import StageTesting
import Testing

extension BPFTests {
    @Suite struct BPFObjectTests {
        private static func fixture(_ name: String = "fixture") throws -> BPFObject {
            try BPFObject(contentsOf: BuildProducts.object(name, of: "fixture-stage"))
        }
        private static let frame = [UInt8](repeating: 0, count: 64)

        @Test func whatIsNoObjectIsRefused() {
            for bytes: [UInt8] in [[], [1, 2, 3], Array("\u{7f}ELF and then nothing".utf8)] {
                #expect(throws: BPFError.self) { try BPFObject(bytes: bytes, name: "bad") }
            }
        }

        @Test func everyCutOfAnObjectIsRefusedOrLoads() throws {
            let whole = try [UInt8](
                Data(contentsOf: URL(filePath: BuildProducts.object("fixture", of: "fixture-stage"))))
            for length in stride(from: 0, to: whole.count, by: 97) {
                // What is left may still parse; it must never crash.
                let object = try? BPFObject(bytes: Array(whole[..<length]), name: "cut")
                try? object?.load(program: "stamp", as: .xdp)
            }
        }

        @Test func anObjectSaysWhatIsInIt() throws {
            let object = try Self.fixture()
            #expect(object.programNames.sorted() == ["check", "stamp"])
            #expect(Set(object.maps.map(\.name)) == ["sluice_chain", "sluice_counters", "marks"])
            #expect(object.map("marks")?.isState == true)
            #expect(object.map("sluice_counters")?.isState == false)
            #expect(object.map("sluice_chain")?.type == .programArray)
            #expect(object.constantNames.contains("generation"))
        }

        @Test func constantsAreSetByNameAndMustFit() throws {
            let object = try Self.fixture()
            try object.setConstant("verdict", to: 1)
            for value in [-1, 1 << 32] {
                let error = #expect(throws: BPFError.self) { try object.setConstant("generation", to: value) }
                #expect(error?.description.contains("does not fit its type, __u32") == true)
            }
            let short = #expect(throws: BPFError.self) { try object.setConstant("generation", bytes: [1, 2]) }
            #expect(short?.description.contains("4 bytes; 2 bytes were given") == true)
            let unknown = #expect(throws: BPFError.self) { try object.setConstant("generatoin", to: 1) }
            #expect(unknown?.description.contains("it has: generation, verdict") == true)
            try object.load(program: "check", as: .xdp)
            #expect(try object.program("check").testRun(packet: Self.frame).returnValue == 1)
        }

        @Test func aRefusalCarriesTheVerifiersLog() throws {
            let object = try Self.fixture("refused")
            let error = #expect(throws: BPFError.self) { try object.load(program: "refused", as: .xdp) }
            #expect(error?.verifierLog?.contains("processed ") == true)
            #expect(error?.verifierVerdict?.contains("is outside of the ") == true, "\(error!)")
            #expect(error?.description.contains("\"refused\"") == true)
        }

        /// As Linux 7.3 writes it.
        @Test func advisoryReportsAreNotTheVerdict() {
            let log = """
                3: (71) r0 = *(u8 *)(r1 +14)
                R1 offset is outside of the packet

                Verification failed: Memory Safety: Access outside bounds

                Suggestion:
                  Add or adjust a bounds check.

                processed 4 insns (limit 1000000) max_states_per_insn 0
                """
            let error = BPFError("load program", "\"refused\"", verifierLog: log)
            #expect(error.verifierVerdict == "R1 offset is outside of the packet")
        }

        @Test func onlyTheProgramAskedForIsLoaded() throws {
            let object = try Self.fixture()
            try object.load(program: "stamp", as: .xdp.taking(frags: true))
            #expect(throws: BPFError.self) { _ = try object.program("check") }
            let other = try Self.fixture()
            let error = #expect(throws: BPFError.self) { try other.load(program: "none", as: .xdp.taking(frags: true)) }
            #expect(error?.description.contains("it has: ") == true)
        }

        @Test func aMapIsNotPinnedByItsName() throws {
            let pin = "/sys/fs/bpf/sluicefixture_pinned"
            defer { try? Pin.remove(pin) }
            let object = try Self.fixture("greedy")
            try object.load(program: "greedy", as: .xdp.taking(frags: true))
            #expect(!Bpffs.exists(pin))
        }

        @Test func aSchemaTellsLayoutsOfOneSizeApart() throws {
            let first = try #require(try Self.fixture().map("marks"))
            let again = try #require(try Self.fixture().map("marks"))
            let second = try #require(try Self.fixture("fixture_v2").map("marks"))
            #expect(first.valueSize == second.valueSize && first.keySize == second.keySize)
            #expect(first.schema(of: "a") == again.schema(of: "a"))
            #expect(first.schema(of: "a") != second.schema(of: "a"))
            #expect(first.schema(of: "a") != first.schema(of: "b"))
            let before = again.schema(of: "a")
            try again.setMaxEntries(2)
            #expect(again.schema(of: "a") != before)
            #expect(first.layout.contains("consistent@0 u64; mixed@64 u64"))
        }
    }
}
