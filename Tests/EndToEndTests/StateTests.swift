// SPDX-License-Identifier: Apache-2.0

import BPF
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// What becomes of state when a new version lays it out otherwise: every packet counted stays counted.
    @Suite struct StateTests {
        static let sources = 100_000

        /// How an upgrade to a version gets on with version 1.0's state, and how the plan says it.
        enum Way: String, CaseIterable {
            case shared = "1.1"
            case merge = "2.0"
            case lazy = "3.0"

            var fate: String {
                switch self {
                case .shared: "is shared with generation 1"
                case .merge: "generation 1's 100000 entries are merged into it after the flip"
                case .lazy: "generation 1's 100000 entries are taken over on first use"
                }
            }
        }

        @Test(arguments: Way.allCases)
        func anUpgradeInAFloodLosesNoPacketAndNoUpdate(_ way: Way) async throws {
            try await Lab.run { lab in
                let tallies = try Tallies(lab, versions: ["1.0", way.rawValue])
                let site = tallies.site
                try site.start()
                try site.apply(Tallies.spec("1.0"))
                let flood = try tallies.flood(sources: Self.sources)
                // Each source has been seen, so that the new map's entries are all there are.
                try lab.until("all sources are there") { flood.sent > 3 * UInt64(Self.sources) }
                let plan = try site.ctl("plan", "-f", "-", input: Tallies.spec(way.rawValue))
                #expect(
                    plan.output.contains("state map \"tally\" ") && plan.output.contains(way.fate), "\(plan.output)")
                let upgrade = try site.must("upgrade", Tallies.hook, "tally", "--to", way.rawValue, "-v")
                #expect(upgrade.contains("merged 100000 entries") == (way == .merge), "\(upgrade)")
                let seen = flood.sent
                // Not all of them again: some old values are not taken over yet.
                try lab.until("the flood goes on") { flood.sent > seen + 50_000 }
                let sent = try flood.stop()
                try tallies.settle(sent)

                let (old, new) = (try tallies.counts(of: 1), try tallies.counts(of: 2))
                switch way {
                case .shared: #expect(new.sum == sent && old == new)
                case .merge: #expect(new.sum == sent && new.count == Self.sources)
                case .lazy:
                    #expect(new.sum + old.filter { new[$0.key] == nil }.sum == sent)
                    #expect(new.count >= 50_000)
                }
                // Both generations had their share, or the test shows nothing.
                for number in 1...2 { #expect(try tallies.directory.generation(number).counters(1).packets > 10_000) }
                #expect(try BPFMap.pinned(at: tallies.directory.fallback).counters(at: 0)?[0] == 0)
            }
        }

        /// What the test above would see of an upgrade that copies first and flips then.
        @Test func whatIsCopiedBeforeTheFlipLacksWhatComesMeanwhile() async throws {
            try await Lab.run { lab in
                let tallies = try Tallies(lab, versions: ["1.0", "4.0"])
                try tallies.site.start()
                try tallies.site.apply(Tallies.spec("1.0"))
                let flood = try tallies.flood(sources: 1000)
                try lab.until("the flood flows") { flood.sent > 10_000 }
                let copy = try tallies.counts(of: 1)
                let plan = try tallies.site.ctl("plan", "-f", "-", input: Tallies.spec("4.0"))
                #expect(plan.output.contains("it starts empty, as its plugin says"), "\(plan.output)")
                try tallies.site.apply(Tallies.spec("4.0"))
                let seen = flood.sent
                try lab.until("the flood goes on") { flood.sent > seen + 10_000 }
                let sent = try flood.stop()
                try tallies.settle(sent)
                let (old, new) = (try tallies.counts(of: 1), try tallies.counts(of: 2))
                #expect(old.sum + new.sum == sent)
                #expect(copy.sum + new.sum < sent)
            }
        }

        @Test func aRollbackReturnsToTheOldStateAndForwardToTheNew() async throws {
            try await Lab.run { lab in
                let tallies = try Tallies(lab, versions: ["1.0", "2.0"])
                let site = tallies.site
                try site.start()
                func send(_ count: UInt64) throws { try tallies.flood(sources: 100, count: count).wait() }
                try site.apply(Tallies.spec("1.0"))
                try send(1000)
                try site.must("upgrade", Tallies.hook, "tally", "--to", "2.0")
                try send(2000)
                try tallies.settle(3000)
                #expect(try tallies.counts(of: 2).sum == 3000)

                let history = try site.must("history", Tallies.hook, "-v")
                #expect(
                    history.contains(
                        "~ stage \"tally\": state map \"tally\" has another layout or size; generation 1's"))
                #expect(
                    history.contains("rolled back to: stage \"tally\": state map \"tally\" is as generation 1 left it"))
                let back = try site.must("rollback", Tallies.hook)
                #expect(back.contains("state map \"tally\" is as generation 1 left it at 2"), "\(back)")
                #expect(back.contains("what generation 2 counted since stays with generation 2"), "\(back)")
                #expect(try site.events().last?.message.contains("is as generation 1 left it at 2") == true)
                try send(4000)
                try tallies.settle(7000)
                #expect(try tallies.counts(of: 1).sum == 5000)

                // What was merged once is not merged again.
                let forward = try site.must("rollback", Tallies.hook, "--to", "2")
                #expect(forward.contains("is as generation 2 left it at 2"), "\(forward)")
                #expect(try tallies.counts(of: 2).sum == 3000)
                try site.must("rollback", Tallies.hook, "--to", "1")
                let plan = try site.ctl("plan", "-f", "-", input: Tallies.spec("2.0"))
                #expect(plan.output.contains("is as generation 2 left it at 2"), "\(plan.output)")
                #expect(plan.output.contains("what generation 1 has counted stays with generation 1"), "\(plan.output)")
                try site.apply(Tallies.spec("2.0"))
                try send(10)
                try tallies.settle(7010)
                #expect(try tallies.counts(of: 3).sum == 3010)
            }
        }

        @Test func oldStateIsKeptForAsLongAsSomebodyReadsIt() async throws {
            try await Lab.run { lab in
                let tallies = try Tallies(lab, versions: ["1.0", "3.0", "3.1"])
                let site = tallies.site
                try site.start(keep: 2)
                try site.apply(Tallies.spec("1.0"))
                try tallies.flood(sources: 100, count: 1000).wait()
                try tallies.settle(1000)
                let old = tallies.directory.state(
                    stage: "tally", map: "tally",
                    schema: try Manifest(pinnedAt: tallies.directory.generation(1).meta).stages[0].state["tally"]!)
                for version in ["3.0", "3.1", "3.0"] {
                    try site.must("upgrade", Tallies.hook, "tally", "--to", version)
                }
                // Generation 1 is gone, and what it counted is still taken over.
                #expect(try tallies.directory.generations() == [3, 4])
                #expect(try site.pins().contains(old))
                try tallies.flood(sources: 100, count: 50).wait()
                try lab.until("they are counted") { try tallies.counts(of: 4).sum == 550 }
                #expect(try site.ctl("plan", "-f", "-", input: Tallies.spec("3.0")).status == .exited(0))

                // The kernel is fresh: there is nothing to take over from, and that is fine.
                site.killDaemon()
                try lab.check(["find", site.bpffs, "-type", "f", "-delete"])
                try lab.check(["find", site.bpffs, "-mindepth", "1", "-type", "d", "-delete"])
                try site.start()
                try lab.until("the chain is back") { try site.status(Tallies.hook).state == .live }
                try tallies.flood(sources: 100, count: 50).wait()
                try lab.until("they are counted") { try tallies.counts(of: 4).sum == 50 }
            }
        }

        @Test func whatCannotBeTakenOverIsRefusedBeforeAnythingIsDone() async throws {
            try await Lab.run { lab in
                let tallies = try Tallies(lab, versions: ["1.0", "2.0", "5.0", "9.0"])
                let site = tallies.site
                try site.start()
                try site.apply(Tallies.spec("1.0"))
                try tallies.flood(sources: 10, count: 100).wait()
                try tallies.settle(100)
                let before = try site.snapshot()
                for (spec, complaint) in [
                    (Tallies.spec("9.0"), "its plugin refuses to start it empty"),
                    (
                        Tallies.spec("5.0"),
                        "answers `merge`, but its tally_lazy.bpf.o has no program that merges it (SLUICE_MERGE)"
                    ),
                    (
                        Tallies.spec("2.0", entries: 9),
                        "has 10 entries in generation 1, and the new one has room for 9; give it more"
                    ),
                ] {
                    for command in ["plan", "apply"] {
                        let refused = try site.ctl(command, "-f", "-", input: spec)
                        #expect(refused.status == .exited(1))
                        #expect(refused.errors.contains(complaint), "\(refused.errors)")
                    }
                }
                #expect(try site.snapshot() == before)
                // Version 2 can take version 1's layout over, but not its own in another size.
                try site.apply(Tallies.spec("2.0"))
                let grown = try site.ctl("plan", "-f", "-", input: Tallies.spec("2.0", entries: 200_000))
                #expect(
                    grown.errors.contains("declares no map of the layout that version 2.0 has (SLUICE_STATE_BEFORE)"),
                    "\(grown.errors)")
                // Version 1 knows nothing of what came after it.
                let back = try site.ctl("apply", "-f", "-", input: Tallies.spec("1.0"))
                #expect(
                    back.succeeded && back.output.contains("is as generation 1 left it at 2"),
                    "\(back.output)\(back.errors)")
            }
        }
    }
}
