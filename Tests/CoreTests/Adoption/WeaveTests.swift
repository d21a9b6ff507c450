// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

/// An adopted program gives the verdicts and the packets that it gives alone, wherever in a chain it stands.
@Suite("Woven objects", .serialized, .enabled(if: Lab.isAvailable, "needs root"))
struct WeaveTests {
    private static let shapes =
        [
            "many_exits", "exit_in_loop", "big", "loop_callback", "each_entry", "global_function",
            "static_functions", "global_data", "pinned_map", "rewrite", "untyped_context",
        ].map { AdoptedFixture("shapes", program: $0) }
    private static let corners =
        [
            "backwards", "wide_verdict", "relocated", "maps_in_a_map", "locked", "with_timer", "sections", "far_ends",
            "too_far_an_end",
        ].map { AdoptedFixture("corners", program: $0) }
    private static let filters = ["dny_all", "alw_all", "dny_ip", "alw_eth", "dny_tcp", "alw_udp"].map {
        AdoptedFixture(debian: "xdpfilt_\($0)", program: "xdpfilt_\($0)")
    }
    private static let others = [
        AdoptedFixture("tailcalls", program: "dispatch"),
        AdoptedFixture(debian: "xdpdump_xdp", program: "xdpdump"),
        AdoptedFixture(debian: "xdp-dispatcher", program: "xdp_dispatcher"),
        AdoptedFixture(debian: "xsk_def_xdp_prog", program: "xsk_def_prog"),
    ]

    @Test(arguments: shapes + corners + filters + others)
    func givesTheVerdictsItGivesAlone(_ fixture: AdoptedFixture) async throws { try await Self.compare(fixture) }

    /// Before, a stage needs stack of its own even if it uses none.
    @Test(.enabled(if: KernelVersion.running >= "6.9", "needs Linux 6.9"))
    func mayUseAllOfTheStack() async throws { try await Self.compare(AdoptedFixture("shapes", program: "deep")) }

    @Test(.enabled(if: KernelVersion.running >= "6.4", "needs Linux 6.4"))
    func mayCallTheKernel() async throws {
        try await Self.compare(AdoptedFixture("kernel_calls", program: "kernel_calls"))
    }

    /// The object alone and woven, side by side.
    private static func compare(_ fixture: AdoptedFixture) async throws {
        try await Lab.run { lab in
            let alone = try BPFObject(contentsOf: fixture.path)
            let companions = fixture.fillsArray ? alone.declarations.map(\.name) : []
            try alone.load(program: fixture.program, as: .xdp, companions: companions)
            let reference = try alone.program(fixture.program)
            let chain = try AdoptedChain(lab, fixture)
            for map in alone.maps {
                try fixture.fill(alone.loadedMap(map.name))
                try fixture.fill(chain.map(map.name))
            }
            let head = try chain.head()
            var packets = RandomPackets(seed: 0x5108ce)
            var passed: UInt64 = 0
            var verdicts: Set<UInt32> = []
            for number in 0..<10_000 {
                let packet = packets.next()
                let expected = try reference.testRun(packet: packet)
                let got = try head.testRun(packet: packet)
                guard got.returnValue == expected.returnValue, got.output == expected.output else {
                    Issue.record("packet \(number): \(got.returnValue), alone \(expected.returnValue): \(packet)")
                    return
                }
                verdicts.insert(expected.returnValue)
                if expected.returnValue == Verdict.pass.number { passed += 1 }
            }
            #expect(verdicts.count >= fixture.verdicts, "the packets show too little: \(verdicts)")
            // What it let pass, and nothing else, came to the stage behind it.
            let counters = try (1...3).map { try chain.generation.counters($0) }
            #expect(counters.map(\.packets) == [10_000, 10_000, passed])
            #expect((counters[1].verdicts["next"]?.packets ?? 0) == passed)
            #expect(counters.allSatisfy { $0.verdicts["fallthrough"]?.packets == 0 })
            #expect(counters[0].bytes == counters[1].bytes)
        }
    }

    @Test func proceedsOnWhatItIsTold() async throws {
        try await Lab.run { lab in
            let fixture = AdoptedFixture("shapes", program: "static_functions")
            let chain = try AdoptedChain(lab, fixture, proceedOn: [.drop, .tx])
            let alone = try AdoptedChain(lab, fixture, proceedOn: [.drop, .tx], behind: 0)
            var packets = RandomPackets(seed: 1)
            let goesOn: Set = [Verdict.drop.number, Verdict.tx.number]
            for _ in 0..<500 {
                let packet = packets.next()
                // Behind the last stage there is nobody to go on to: what it said holds.
                let said = try alone.head().testRun(packet: packet).returnValue
                let got = try chain.head().testRun(packet: packet).returnValue
                #expect(got == (goesOn.contains(said) ? Verdict.pass.number : said))
            }
        }
    }

    @Test func whatIsNoVerdictIsCountedAndAborted() async throws {
        try await Lab.run { lab in
            let chain = try AdoptedChain(lab, AdoptedFixture("shapes", program: "odd_verdict"), frags: true)
            var packet = [UInt8](repeating: 0, count: 64)
            for value in UInt8(0)..<8 {
                packet[27] = value
                let got = try chain.head().testRun(packet: packet).returnValue
                #expect(got == (value > 4 ? Verdict.aborted.number : UInt32(value)))
            }
            #expect(try chain.generation.counters(2).verdicts["invalid"]?.packets == 3)
        }
    }

    @Test func constantsReachTheProgram() async throws {
        try await Lab.run { lab in
            var source = ObjectSource(path: "", program: "global_data")
            source.rodata = ["limit": 10, "strict": true, "label": "x", "limits": ["most": 5, "drop": [9, 9, 9, 9]]]
            let chain = try AdoptedChain(lab, AdoptedFixture("shapes", program: "global_data"), source: source)
            var packet = [UInt8](repeating: 0, count: 64)
            for (value, verdict) in [(11 as UInt8, Verdict.drop), (5, .tx), (9, .tx)] {
                packet[22] = value
                #expect(try chain.head().testRun(packet: packet).returnValue == verdict.number)
            }
        }
    }
}
