// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    /// A stage whose plugin gets records from a ring buffer, answers questions and changes the stage.
    @Suite struct RingTests {
        @Test func recordsComeInOrderFromTheGenerationThatIsLive() async throws {
            try await Lab.run { lab in
                let ring = try RingSite.live(lab)
                let site = ring.site
                try ring.send(500)
                try ring.expect([.init(generation: 1, records: 500, first: 1, last: 500)])
                // The same stage in another generation: the same session, another ring.
                try site.apply(RingSite.spec(more: "      - {name: last, plugin: noop}\n"))
                try ring.send(300)
                try ring.expect([
                    .init(generation: 1, records: 500, first: 1, last: 500),
                    .init(generation: 2, records: 300, first: 1, last: 300),
                ])
                // Back in the first one its ring goes on where it was left.
                try site.must("rollback", "xdp:edge0")
                try ring.send(200)
                try ring.expect([
                    .init(generation: 1, records: 700, first: 1, last: 700),
                    .init(generation: 2, records: 300, first: 1, last: 300),
                ])
                // Another version of the plugin is another session.
                try site.must("upgrade", "xdp:edge0", "rings", "--to", "1.1")
                try ring.send(100)
                try ring.expect([.init(generation: 3, records: 100, first: 1, last: 100)])
            }
        }

        @Test func bothSidesOfACanaryAreHeard() async throws {
            try await Lab.run { lab in
                let ring = try RingSite.live(lab)
                let site = ring.site
                try ring.send(10)
                try site.must(
                    "upgrade", "xdp:edge0", "rings", "--to", "1.1", "--canary=50%", "--for=1h", "--abort-if=tx>+99%",
                    "--no-wait")
                try ring.send(200, flows: true)
                try site.must("canary", "promote", "xdp:edge0")
                try ring.send(10)
                // The candidate's reader is followed by that of the live generation, which goes on behind it.
                let table = try ring.until("the promoted generation is heard") {
                    $0.first?.generation == 2 && $0[0].records >= 10
                }
                #expect(table.count == 1 && table[0].gaps == 0 && table[0].disorder == 0)
                let told = try ring.told()
                #expect(table[0].last == told && told > 10 && told < 210)
            }
        }

        @Test func whatAPluginDoesNotReadDoesNotPileUp() async throws {
            try await Lab.run { lab in
                let ring = try RingSite.live(lab)
                let site = ring.site
                try ring.send(10)
                try ring.expect([.init(generation: 1, records: 10, first: 1, last: 10)])
                let plugin = try ring.plugin()
                kill(plugin, SIGSTOP)
                defer { kill(plugin, SIGCONT) }
                try ring.flood(40_000)
                let before = try ring.memory()
                try ring.flood(120_000)
                #expect(try ring.memory() <= before + 1024, "KiB")
                // Nobody answers, and the daemon is well.
                let silent = try site.ctl("stats", "xdp:edge0", "--stage", "rings", "--top", "records")
                #expect(silent.status == .exited(1))
                #expect(silent.errors.contains("gave no answer within 5.0 seconds"), "\(silent.errors)")
                #expect(try site.status().state == .live)
                kill(plugin, SIGCONT)
                let told = try ring.told()
                let table = try ring.until("it has caught up") { $0[0].records + $0[0].lost == told }
                #expect(table[0].disorder == 0 && table[0].lost > table[0].records)
                try ring.send(10)
                let after = try ring.until("it hears what comes now") { $0[0].last == told + 10 }
                #expect(after[0].records == table[0].records + 10 && after[0].lost == table[0].lost)
            }
        }

        @Test func killedPluginsAndDaemonsGoOnListening() async throws {
            try await Lab.run { lab in
                let ring = try RingSite.live(lab)
                let site = ring.site
                try ring.send(10)
                try ring.expect([.init(generation: 1, records: 10, first: 1, last: 10)])
                let first = try ring.plugin()
                kill(first, SIGKILL)
                try lab.until("it is started again") { try ring.plugins().contains { $0 != first } }
                try ring.send(10)
                try ring.expect([.init(generation: 1, records: 10, first: 11, last: 20)])
                site.killDaemon()
                // What comes meanwhile waits in the ring.
                try ring.send(10)
                try site.start()
                try ring.expect([.init(generation: 1, records: 10, first: 21, last: 30)])
                try site.must("detach", "xdp:edge0")
                try lab.until("the run has ended") { try ring.plugins().isEmpty }
                #expect(try ring.rings() == 0)
            }
        }

        @Test func questionsAreAnsweredOrRefused() async throws {
            try await Lab.run { lab in
                let ring = try RingSite.live(lab)
                let site = ring.site
                try ring.send(3)
                try ring.expect([.init(generation: 1, records: 3, first: 1, last: 3)])
                let text = try site.must("stats", "xdp:edge0", "--stage", "rings", "--top", "records")
                #expect(text.contains("GENERATION  RECORDS") && text.contains("note: told by the fixture"), "\(text)")
                let refusals = [
                    ("rings", "sources", "stage \"rings\" does not answer: top: not known; there are: records"),
                    ("rings", "silence", "gave no answer within 5.0 seconds"),
                    ("rings", "malformed", "the plugin's answer is malformed: rows[0]: 2 cells"),
                    ("nothing", "records", "has no stage \"nothing\"; it has: rings"),
                ]
                for (stage, top, says) in refusals {
                    let result = try site.ctl("stats", "xdp:edge0", "--stage", stage, "--top", top)
                    #expect(result.status == .exited(1))
                    #expect(result.errors.contains(says), "\(result.errors)")
                }
                #expect(try ring.table()[0].records == 3)
                #expect(try site.ctl("stats", "xdp:edge0", "--top", "records").status == .exited(64))

                // Without work nothing runs, and nobody can be asked.
                try site.apply(RingSite.spec(config: "listens: false"))
                try lab.until("the run has ended") { try ring.plugins().isEmpty }
                let result = try site.ctl("stats", "xdp:edge0", "--stage", "rings", "--top", "records")
                #expect(result.errors.contains("(fixture-stage 1.0) has nothing running that could answer"))
                #expect(try ring.rings() == 0)
                // A record of nobody's fills the ring, and does no harm.
                try ring.send(5)
                #expect(try site.status().state == .live)
            }
        }

        @Test func aRunChangesItsStageAndSaysWhy() async throws {
            try await Lab.run { lab in
                let ring = try RingSite.live(lab)
                let site = ring.site
                try ring.send(1, port: 5555)
                try lab.until("the change is refused") { site.daemon!.errors.contains("its change 1 was refused") }
                try lab.until("the run has heard") { site.daemon!.errors.contains("not changed: ") }
                #expect(try site.verdict(port: 7) == .pass)
                try ring.send(1, port: 4444)
                try lab.until("the stage is changed") { try site.verdict(port: 7) == .drop }
                try lab.until("the run has heard") { site.daemon!.errors.contains("changed: drops all packets") }
                let events = try site.events().filter { $0.action == "change" }
                #expect(events.map(\.outcome) == ["failed", "done"])
                #expect(events[0].message.contains("drop: true or false is wanted"), "\(events[0].message)")
                #expect(events[1].author == "stage rings (fixture-stage 1.0)")
                #expect(events[1].message.contains("drops all packets"), "\(events[1].message)")
                #expect(events[1].message.contains("a packet to port 4444"), "\(events[1].message)")
            }
        }

        @Test func onlyWorkKeepsTheDaemon() async throws {
            try await Lab.run { lab in
                let ring = try RingSite(lab)
                let site = ring.site
                try site.start(idle: 1)
                try site.apply(RingSite.spec())
                let daemon = site.daemon!
                Thread.sleep(forTimeInterval: 3)
                #expect(daemon.isRunning)
                try site.apply(RingSite.spec(config: "listens: false"))
                try lab.until("the daemon has left") { !daemon.isRunning }
                #expect(try site.verdict(port: 7) == .pass)
            }
        }
    }
}
