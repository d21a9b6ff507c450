// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// A chain's life at every hook: what `docs/operating.md` promises of XDP holds at all of them.
    @Suite struct HookLifecycleTests {
        @Test(arguments: HookCase.all)
        func aChainIsAppliedUpgradedRolledBackAndDetached(_ row: HookCase) async throws {
            try await HookSite.run(row) { hooks in
                let site = hooks.site
                let plan = try site.ctl("plan", "-f", "-", input: hooks.walk(1))
                #expect(plan.status == .exited(2))
                #expect(try site.pins().isEmpty && hooks.programs().isEmpty)
                try site.apply(hooks.walk(1))
                #expect(try hooks.programs().count == 1)

                let first = try hooks.call(50)
                var status = try hooks.status()
                #expect(status.hook == hooks.hook && status.state == .live && status.live == 1)
                #expect(status.mode == row.told)
                #expect(first.isPerfect, "\(first)")
                try Self.expectCounters(status, offered: 50, hooks)

                try site.must("upgrade", hooks.hook, "check", "--to", "1.1")
                #expect(try hooks.call(30).isPerfect)
                status = try hooks.status()
                #expect(status.live == 2 && status.stages.map(\.version) == ["1.0", "1.1"])
                try Self.expectCounters(status, offered: 30, hooks)
                #expect(try hooks.marks() == (80, 0))

                try site.must("rollback", hooks.hook)
                #expect(try hooks.call(20).isPerfect)
                status = try hooks.status()
                #expect(status.live == 1 && status.stages.map(\.version) == ["1.0", "1.0"])
                try Self.expectCounters(status, offered: 70, hooks)
                #expect(try hooks.history().map(\.state) == [.kept, .live])
                let stats: ChainStats = try site.decode(site.must("stats", hooks.hook, "--output", "json"))
                #expect(stats.stages[1].tables[0].rows[0].values == [100, 0])
                #expect(status.rootFallbacks == 0)
                #expect(try site.must("doctor").contains("\(hooks.hook): generation 1 is live"))

                // The root is attached once and for good.
                #expect(try hooks.programs() == BPFProgram.idIfPinned(at: hooks.directory.root))
                try site.must("detach", hooks.hook)
                #expect(try site.pins().isEmpty && hooks.programs().isEmpty)
                #expect(try hooks.call(3).wrong == 0)
                #expect(try hooks.status().state == .detached)
            }
        }

        /// Each call is one walk of both stages; of a TCP connection there is more than one event.
        private static func expectCounters(_ status: ChainStatus, offered: UInt64, _ hooks: HookSite) throws {
            for stage in status.stages {
                let counters = try #require(stage.counters)
                let isMore = hooks.row.kind == .sockops && counters.packets > offered
                #expect(counters.packets == offered || isMore, "\(stage.name): \(counters)")
                #expect(counters.verdicts["next"]?.packets == counters.packets)
            }
        }

        /// What a stage drops has its effect; what finds a slot empty gets the chain's verdict for that. The slots are
        /// emptied behind the manager's back, one of the generation's and the root's, and it mends them when it is there
        /// again.
        @Test(arguments: HookCase.usual)
        func whatIsDroppedAndWhatFindsNoStage(_ row: HookCase) async throws {
            try await HookSite.run(row) { hooks in
                for verdict in [FaultVerdict.pass, .drop] { try Self.empty(hooks, onFault: verdict) }
                try Self.reboot(hooks)
            }
        }

        private static func empty(_ hooks: HookSite, onFault: FaultVerdict) throws {
            let site = hooks.site
            let onFaultKey = "    on-fault: \(onFault.rawValue)\n"
            try site.apply(hooks.walk(1, verdict: .drop, extra: onFaultKey))
            #expect(try !hooks.passes())
            let counters = try #require(try hooks.status().stages[1].counters)
            #expect(counters.packets >= 3 && counters.verdicts["drop"]?.packets == counters.packets, "\(counters)")
            try site.apply(hooks.walk(hooks.row.harmlessStamp, verdict: .pass, extra: onFaultKey))
            #expect(try hooks.passes())
            site.killDaemon()
            // An array without a pin empties itself.
            let live = try #require(try hooks.directory.live())
            try hooks.lab.check(["rm", "\(hooks.directory.path)/g\(live)/chain"])
            try hooks.lab.until("the array is empty") {
                _ = try hooks.passes()
                return try hooks.directory.fallenThrough(live) > 0
            }
            #expect(try hooks.passes() == (onFault == .pass))
            try site.start()
            #expect(try hooks.passes())
            site.killDaemon()
            let entry = "\(hooks.directory.path)/entry"
            try hooks.lab.check(["bpftool", "map", "delete", "pinned", entry, "key", "0", "0", "0", "0"])
            // At sockops no program's answer is as one that is not taken.
            #expect(try hooks.passes() == (onFault == .pass && hooks.row.kind != .sockops))
            #expect(try hooks.fallbacks() >= 3)
            try site.start()
            #expect(try hooks.passes())
            #expect(try site.ctl("doctor").succeeded)
            try site.must("detach", hooks.hook)
        }

        /// The pins and the programs are gone, the records are there; the place is a new one.
        private static func reboot(_ hooks: HookSite) throws {
            let site = hooks.site
            try site.apply(hooks.walk(2, verdict: .drop))
            let live = try #require(try hooks.directory.live())
            site.killDaemon()
            try hooks.loseKernel()
            try site.lab.check(["rm", "-r", site.plugins])
            #expect(try hooks.programs().isEmpty)
            // At sockops nothing passes that no program answers.
            if hooks.row.kind != .sockops { #expect(try hooks.passes()) }
            try site.start()
            #expect(try hooks.status().state == .live && hooks.status().live == live)
            #expect(try !hooks.passes())
            #expect(try hooks.programs().count == 1)
            #expect(
                try site.events().contains {
                    $0.action == "recover" && $0.message.contains("brought generation \(live) back")
                })
        }
    }
}
