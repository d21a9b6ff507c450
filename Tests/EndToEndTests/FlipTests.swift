// SPDX-License-Identifier: Apache-2.0

import BPF
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// The promise of the whole design: a flip under load loses no packet, and none sees two generations.
    @Suite struct FlipTests {
        @Test func aFlipInAFloodLosesNothingAndMixesNothing() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["fixture-stage"])
                try site.start()
                // A pair without addresses: nothing but the flood is on it.
                try lab.addVeth("flood0", VethEnd("flood1", netns: "client"))
                for generation in 1...2 { try site.apply(Self.stamped(generation)) }
                let hook = HookDirectory(try HookID(parsing: "xdp:flood0"), in: site.bpffs)
                let before = try Self.marks(hook)
                let packet = Packet.bytes(
                    .ethernet(), .ipv4(from: "10.9.0.2", to: "10.9.0.1"), .udp(from: 1, to: 2), .payload(32))
                let flood = try LiveFrames(lab: lab, interface: "flood1", netns: "client", packet: packet)
                try lab.until("the flood flows") { flood.sent > 10_000 }
                var flips = 0
                while flips < 500 || flood.sent < 300_000 {
                    try hook.flip(to: flips % 2 + 1)
                    flips += 1
                }
                let sent = try flood.stop()
                try lab.until("all packets are through", timeout: .seconds(2)) {
                    try Self.marks(hook).consistent - before.consistent >= sent
                }
                let after = try Self.marks(hook)
                #expect(after.consistent - before.consistent == sent)
                #expect(after.mixed == before.mixed)
                #expect(try BPFMap.pinned(at: hook.fallback).counters(at: 0)?[0] == 0)
                // Both generations had their share, or the test shows nothing.
                for generation in 1...2 { #expect(try hook.generation(generation).counters(2).packets > 1000) }
            }
        }

        /// The stage that compares must find the stamp of its own generation.
        private static func stamped(_ generation: Int) -> String {
            """
            chains:
              - hook: xdp:flood0
                stages:
                  - {name: stamp, plugin: fixture-stage, config: {program: stamp, generation: \(generation)}}
                  - {name: check, plugin: fixture-stage, config: {program: check, generation: \(generation), verdict: drop}}
            """
        }

        /// What the comparing stage has found, over all generations.
        private static func marks(_ hook: HookDirectory) throws -> (consistent: UInt64, mixed: UInt64) {
            let manifest = try Manifest(pinnedAt: hook.generation(1).meta)
            let schema = manifest.stages[1].state["marks"]!
            let map = try BPFMap.pinned(at: hook.state(stage: "check", map: "marks", schema: schema))
            let row = try map.counters(at: 0)!
            return (row[0], row[1])
        }
    }
}
