// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    @Suite struct LifecycleTests {
        @Test func aChainIsAppliedUpgradedRolledBackAndDetached() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                // plan says what apply would do, and by its exit status that there is something to do.
                let plan = try site.ctl("plan", "-f", "-", input: Site.dropping(port: 7))
                #expect(plan.status == .exited(2))
                #expect(plan.output.contains("+ stage dos: volumetric-dos 1.0"))
                #expect(try site.pins().isEmpty)

                try site.apply(Site.dropping(port: 7))
                #expect(try site.verdict(port: 7) == .drop)
                #expect(try site.verdict(port: 8) == .pass)
                var status = try site.status()
                #expect(status.state == .live && status.live == 1 && status.mode == "native")
                #expect(status.stages.map(\.version) == ["1.0"])
                #expect(status.stages[0].counters?.verdicts["drop"]?.packets == 1)
                #expect(try site.ctl("plan", "-f", "-", input: Site.dropping(port: 7)).status == .exited(0))

                try site.apply(Site.dropping(port: 8))
                #expect(try site.verdict(port: 7) == .pass)
                #expect(try site.verdict(port: 8) == .drop)
                try site.must("upgrade", "xdp:edge0", "dos", "--to", "1.1", "--message", "prefix limits")
                status = try site.status()
                #expect(status.live == 3 && status.stages.map(\.version) == ["1.1"])

                try site.must("rollback", "xdp:edge0")
                #expect(try site.status().live == 2)
                try site.must("rollback", "xdp:edge0", "--to", "1")
                #expect(try site.verdict(port: 7) == .drop)
                let history = try site.history()
                #expect(history.map(\.number) == [3, 2, 1])
                #expect(history.map(\.state) == [.kept, .kept, .live])
                #expect(history[0].message == "prefix limits")
                #expect(history[0].changes.contains { $0.contains("volumetric-dos 1.0 -> volumetric-dos 1.1") })

                try site.must("detach", "xdp:edge0")
                #expect(try site.pins().isEmpty)
                #expect(try lab.check(["ip", "link", "show", "edge0"]).contains("xdp") == false)
                #expect(try site.status().state == .detached)
                #expect(try FileManager.default.contentsOfDirectory(atPath: "\(site.state)/artifacts").isEmpty)
            }
        }

        @Test func onlyTheNewestGenerationsAreKept() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start(keep: 3)
                for port in 1...6 { try site.apply(Site.dropping(port: port)) }
                let pins = try site.pins()
                for number in 1...6 { #expect(pins.contains("\(site.hookFolder)/g\(number)") == (number > 3)) }
                #expect(try site.history().map(\.state) == [.live, .kept, .kept, .retired, .retired, .retired])
                let gone = try site.ctl("rollback", "xdp:edge0", "--to", "2")
                #expect(gone.status == .exited(1))
                #expect(gone.errors.contains("generation 2 is not in the kernel; kept are: 4, 5"))
                #expect(try site.must("doctor").contains("generation 6 is live"))
            }
        }

        @Test func stateOutlivesGenerationsWhileItsLayoutAgrees() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                let limited = Site.dropping(port: 7).replacingOccurrences(
                    of: "config:", with: "config:\n          limit: {packets-per-second: 1, burst: 60}")
                try site.apply(limited)
                #expect(try Self.passed(60, site) == 60)
                // The bucket is as empty behind the upgrade as before it: one packet a second fills it slowly.
                let plan = try site.must("upgrade", "xdp:edge0", "dos", "--to", "1.1")
                #expect(plan.contains("shared with generation 1"))
                #expect(try Self.passed(60, site) < 30)
            }
        }

        @Test func samplesLeaveNoTraceInSharedState() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["fixture-stage"])
                // The client's kernel now and then says a word of its own (multicast listeners); here nothing may be heard.
                try lab.ip(["link set client0 down"], netns: "client")
                try site.start()
                func spec(_ generation: Int) -> String {
                    """
                    chains:
                      - hook: xdp:edge0
                        stages: [{name: check, plugin: fixture-stage, config: {program: check, generation: \(generation)}}]
                    """
                }
                // The sample's stamp is that of generation 0.
                for generation in [0, 1, 0] {
                    let output = try site.apply(spec(generation))
                    #expect(output.contains("1 sample packets as expected"))
                }
                let stats: ChainStats = try site.decode(site.must("stats", "xdp:edge0", "--output", "json"))
                #expect(stats.stages[0].tables[0].rows[0].values == [0, 0])
                #expect(stats.stages[0].counters?.packets == 0)
                _ = try site.verdict(port: 7)
                #expect(try site.status().stages[0].counters?.packets == 1)
            }
        }

        /// How many of so many packets pass.
        private static func passed(_ count: Int, _ site: Site) throws -> Int {
            try (0..<count).filter { _ in try site.verdict(port: 9) == .pass }.count
        }

        @Test func aLimitBehindAStageDoesNotFailItsSamples() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                // The noop's sample takes the one packet that the stage behind lets through.
                try site.apply(
                    """
                    chains:
                      - hook: xdp:edge0
                        stages:
                          - {name: first, plugin: noop}
                          - name: dos
                            plugin: volumetric-dos
                            config: {limit: {packets-per-second: 1, burst: 1}}
                    """)
                #expect(try site.status().live == 1)
            }
        }

        @Test func aDaemonThatComesBackKnowsEverything() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 7))
                try site.apply(Site.dropping(port: 8))
                let before = try site.snapshot()
                site.killDaemon()
                #expect(try site.verdict(port: 8) == .drop)
                try site.start()
                #expect(try site.snapshot() == before)
                #expect(try site.status().live == 2)
                try site.must("rollback", "xdp:edge0")
                #expect(try site.verdict(port: 7) == .drop)
            }
        }

        @Test func aFreshKernelGetsTheChainBack() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 7))
                site.killDaemon()
                // As after a reboot: the pins and the plugins are gone, the database and the artifacts are there.
                try lab.check(["find", site.bpffs, "-type", "f", "-delete"])
                try lab.check(["find", site.bpffs, "-mindepth", "1", "-type", "d", "-delete"])
                try FileManager.default.removeItem(atPath: site.plugins)
                try lab.until("the link is gone") { try !lab.check(["ip", "link", "show", "edge0"]).contains("xdp") }
                try site.start()
                #expect(try site.verdict(port: 7) == .drop)
                #expect(
                    try site.events().contains {
                        $0.action == "recover" && $0.message.contains("brought generation 1 back")
                    })
            }
        }

        @Test func anotherNamespaceIsServedToo() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                let spec = Site.noops(2, hook: "xdp:client0", extra: "    netns: /run/netns/client\n")
                try site.apply(spec)
                #expect(try lab.check(["ip", "link", "show", "client0"], netns: "client").contains("xdp"))
                #expect(try site.status("xdp:client0").hook == "xdp:client0@client")
                try site.must("detach", "xdp:client0@client")
                #expect(try site.pins().isEmpty)
            }
        }

        @Test func aMachineOfOneHookTakesThirtyTwoStages() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.noops(32))
                #expect(try site.verdict(port: 7) == .pass)
                let status = try site.status()
                #expect(status.stages.count == 32)
                #expect(status.stages.allSatisfy { ($0.counters?.verdicts["next"]?.packets ?? 0) >= 1 })
                #expect(status.rootFallbacks == 0)
            }
        }
    }
}
