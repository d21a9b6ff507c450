// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// What changes of a live stage outlive, and what they do not.
    @Suite struct LiveEndureTests {
        static let points: [FaultPoint] = [.stageChangeBegun, .stageChangeApplied, .stageChangeRecorded]

        @Test func rulesStayThroughRestartsUpgradesAndRollbacks() async throws {
            try await Lab.run { lab in
                let live = try LiveSite(lab)
                let site = live.site
                try live.add("name: a, port: 7")
                site.killDaemon()
                #expect(try live.dropped() == [7, 9])
                try site.start()
                try live.add("name: b, port: 8")
                try site.must("upgrade", "xdp:edge0", "live", "--to", "1.1")
                #expect(try live.dropped() == [7, 8, 9])
                try site.must("rule", "remove", "xdp:edge0", "live", "a")
                try site.must("rollback", "xdp:edge0")
                #expect(try live.dropped() == [8, 9])
                #expect(try live.names() == ["configured", "b"])
            }
        }

        @Test func rulesStayThroughAReboot() async throws {
            try await Lab.run { lab in
                let live = try LiveSite(lab)
                let site = live.site
                try live.add("name: a, port: 7")
                try live.add("name: gone, port: 5")
                let said = try site.must("rule", "add", "xdp:edge0", "live", "port: 8, own: true")
                #expect(said.contains("note: live_ports: of generation 1 alone; the next apply or upgrade fills it"))
                try site.must("rule", "remove", "xdp:edge0", "live", "gone")
                for _ in 0..<3 { #expect(try live.dropped() == [7, 8, 9]) }
                site.killDaemon()
                try RecoveryTests.loseKernel(site)
                try site.start()
                #expect(try live.dropped() == [7, 8, 9])
                #expect(try live.names() == ["configured", "a"])
                // The plugin itself is not needed for it.
                site.killDaemon()
                try RecoveryTests.loseKernel(site)
                try FileManager.default.removeItem(atPath: site.plugins)
                try site.start()
                #expect(try live.dropped() == [7, 8, 9])
                try live.add("name: b, port: 6")
                #expect(try live.dropped() == [6, 7, 8, 9])
            }
        }

        @Test func whatBelongsToAGenerationStaysThere() async throws {
            try await Lab.run { lab in
                let live = try LiveSite(lab)
                let site = live.site
                try live.add("port: 8, own: true")
                try live.add("name: a, port: 7")
                try site.apply(LiveSite.spec(ports: [10]))
                #expect(try live.dropped() == [7, 10])
                try live.add("port: 11, own: true")
                try site.must("rollback", "xdp:edge0")
                #expect(try live.dropped() == [7, 8, 9])
                site.killDaemon()
                try RecoveryTests.loseKernel(site)
                try site.start()
                #expect(try live.dropped() == [7, 8, 9])
                // Of generations that are no more nothing is kept.
                #expect(
                    try live.sql("SELECT DISTINCT map, generation FROM live_entry ORDER BY map").contains(
                        "live_ports|1"))
                #expect(try !live.sql("SELECT DISTINCT map, generation FROM live_entry").contains("live_ports|2"))
            }
        }

        @Test func aDetachForgetsThem() async throws {
            try await Lab.run { lab in
                let live = try LiveSite(lab)
                try live.add("name: a, port: 7")
                try live.site.must("detach", "xdp:edge0")
                #expect(
                    try live.sql("SELECT count(*) FROM live_entry; SELECT count(*) FROM live_stage") == "0\n0\n")
                try live.site.apply(LiveSite.spec())
                #expect(try live.dropped() == [9])
                #expect(try live.names() == ["configured"])
            }
        }

        @Test func aGenerationThatIsMendedHasThemAgain() async throws {
            try await Lab.run { lab in
                let live = try LiveSite(lab)
                let site = live.site
                try live.add("name: a, port: 7")
                try live.add("port: 8, own: true")
                try lab.check(["rm", "\(site.hookFolder)/g1/map_1_live_ports"])
                try site.poke()
                try lab.until("the generation is built anew") {
                    FileManager.default.fileExists(atPath: "\(site.hookFolder)/g1/map_1_live_ports")
                }
                #expect(try live.dropped() == [7, 8, 9])
                let dump: MapDump = try site.decode(
                    site.must("map", "dump", "xdp:edge0", "live", "live_ports", "-o", "json"))
                #expect(Set(dump.entries.map(\.key)) == [8, 9])
            }
        }

        @Test func bothSidesOfACanarySeeWhatTheyShare() async throws {
            try await Lab.run { lab in
                let live = try LiveSite(lab)
                let site = live.site
                try site.must(
                    "upgrade", "xdp:edge0", "live", "--to", "1.1", "--canary", "50%", "--for", "1h", "--no-wait")
                let said = try site.must(
                    "rule", "add", "xdp:edge0", "live", "name: a, port: 7", "port: 8, own: true")
                #expect(
                    said.contains(
                        "a canary is on: generation 2 sees what was changed of live_hits, live_slots, which both share, "
                            + "and does not see what was changed of live_ports"), "\(said)")
                // Whatever the flow, and so the side.
                #expect(try live.dropped().contains(7))
                try site.must("canary", "promote", "xdp:edge0")
                #expect(try live.dropped() == [7, 9])
            }
        }

        @Test(arguments: points)
        func aChangeIsMadeOrNotWhereverTheDaemonIsKilled(_ point: FaultPoint) async throws {
            for reboots in [false, true] {
                try await Lab.run { lab in
                    let live = try LiveSite(lab)
                    let site = live.site
                    try live.add("name: a, port: 7")
                    site.killDaemon()
                    try site.start(fault: point.rawValue)
                    #expect(try !live.rule("add", "name: b, port: 8").succeeded)
                    #expect(try site.daemon!.wait(timeout: .seconds(10)) == .signaled(9), "\(point) was not reached")
                    #expect(try live.dropped() == (point == .stageChangeBegun ? [7, 9] : [7, 8, 9]))
                    if reboots { try RecoveryTests.loseKernel(site) }
                    try site.start()
                    #expect(try live.dropped() == [7, 8, 9])
                    #expect(try live.names() == ["configured", "a", "b"])
                    let events = try site.events()
                    #expect(events.count { $0.action == "change" && $0.message.contains("added rule b") } == 1)
                    let finished = events.contains { $0.message.contains("finished a change of stage \"live\"") }
                    #expect(finished == (point != .stageChangeRecorded))
                    #expect(try live.sql("SELECT count(*) FROM live_change") == "0\n")
                }
            }
        }
    }
}
