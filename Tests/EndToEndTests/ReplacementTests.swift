// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// All rules of a stage replaced by others in a flood.
    @Suite struct ReplacementTests {
        /// `SLUICE_REPLACED=10000` tries more.
        private static let rules = ProcessInfo.processInfo.environment["SLUICE_REPLACED"].flatMap(Int.init) ?? 1000
        private static let replacements = 4

        /// Both sets let every packet of the flood pass, each source by a rule of its own; but one asks for a port that
        /// the other does not, and what the first rule of one is the last of the other. Half of one set and half of the
        /// other fit no packet, and the last rule drops it: that the tables of the two do not fit together show the
        /// tests of volumetric-dos.
        @Test func noPacketIsJudgedByHalfOfASet() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["volumetric-dos-1_1", "fixture-stage"])
                try site.start()
                try lab.addVeth("flood0", VethEnd("flood1", netns: "client"))
                try site.apply(Self.spec(1))
                let packet = Packet.bytes(
                    .ethernet(), .ipv4(from: "10.64.0.0", to: "10.9.0.1"), .udp(from: 1, to: 2), .payload(32))
                let flood = try LiveFrames(
                    lab: lab, interface: "flood1", netns: "client", packet: packet,
                    options: .init(rate: 300_000, sources: UInt32(Self.rules)))
                try lab.until("the flood flows") { flood.sent > 10_000 }
                for generation in 2...Self.replacements + 1 {
                    let before = flood.sent
                    try site.apply(Self.spec(generation))
                    try lab.until("each source has sent to the new rules") {
                        flood.sent > before + UInt64(Self.rules) * 2
                    }
                }
                let sent = try flood.stop()
                let hook = HookDirectory(try HookID(parsing: "xdp:flood0"), in: site.bpffs)
                try lab.until("all packets are through", timeout: .seconds(2)) { try Self.passed(hook).whole >= sent }
                let passed = try Self.passed(hook)
                #expect(passed.whole == sent && passed.mixed == 0, "\(passed)")
                // Whatever was dropped is in the stage's counters.
                let stats: ChainStats = try site.decode(site.must("stats", "xdp:flood0", "-o", "json"))
                let table = try #require(stats.stages[0].tables.first { $0.name == "rules" })
                #expect(table.rows.last?.label == "rest" && table.rows.last?.values[0] == .count(0))
                #expect(table.rows.filter { $0.values[0] != .count(0) }.count == Self.rules)
            }
        }

        private static func spec(_ generation: Int) -> String {
            var lines = [
                "chains:", "  - hook: xdp:flood0", "    stages:", "      - name: dos", "        plugin: volumetric-dos",
                "        config:", "          rules:",
            ]
            let isFirst = !generation.isMultiple(of: 2)
            for number in 0..<rules {
                let source = isFirst ? number : rules - 1 - number
                let port = isFirst ? "destination-port: 2" : "source-port: 1"
                lines.append("            - {source: 10.64.\(source / 256).\(source % 256), \(port), action: pass}")
            }
            return
                (lines + [
                    "            - {name: rest, protocol: udp, action: drop}",
                    "      - {name: stamp, plugin: fixture-stage, config: {program: stamp, generation: \(generation)}}",
                    "      - {name: check, plugin: fixture-stage, config: {program: check, generation: \(generation), verdict: drop}}",
                    "",
                ]).joined(separator: "\n")
        }

        /// What the last stage has counted, over all generations: what one of them let pass, and what two had a part in.
        private static func passed(_ hook: HookDirectory) throws -> (whole: UInt64, mixed: UInt64) {
            let manifest = try Manifest(pinnedAt: hook.generation(replacements + 1).meta)
            let schema = manifest.stages[2].state["marks"]!
            let row = try BPFMap.pinned(at: hook.state(stage: "check", map: "marks", schema: schema)).counters(at: 0)!
            return (row[0], row[1])
        }
    }
}
