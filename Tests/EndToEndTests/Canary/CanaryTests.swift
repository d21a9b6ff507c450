// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// A change that is tried on a share of the flows: promoted when it does well, ended when it does not.
    @Suite struct CanaryTests {
        @Test func aCandidateThatDropsEverythingIsAborted() async throws {
            try await Lab.run { lab in
                let canary = try CanarySite(lab)
                let flood = try canary.flood()
                try lab.until("the flood flows") { flood.sent > 10_000 }
                let before = try canary.directory.generation(1).counters(1).packets
                try #require(try canary.begin(.drop).succeeded)
                let event = try canary.end()
                let after = try canary.directory.generation(1).counters(1).packets
                try flood.stop()
                #expect(event.action == "abort" && event.author == "sluiced")
                #expect(event.message.contains("drop 100%"), "\(event.message)")
                #expect(event.message.contains("more than drop>+1%"), "\(event.message)")
                // What it had was its share, and only for as long as it took to see that.
                let words = event.message.split(separator: " ")
                let tried = try #require(words.firstIndex(of: "tried,").flatMap { UInt64(words[$0 - 2]) })
                #expect(tried >= 500)
                #expect(Double(tried) < 0.06 * Double(after - before + tried), "\(tried) of \(after - before)")
                #expect(try canary.leftovers(generations: [1]).isEmpty)
                let record = try #require(try canary.site.history(CanarySite.hook).first { $0.number == 2 })
                #expect(record.state == .retired)
                #expect(try canary.verdict(Flows.ipv4.pair(1).there) == .pass)
            }
        }

        @Test func aCandidateThatDoesAsWellIsPromotedStepByStepAndNothingIsLost() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                for port in [6, 7] { try site.apply(Site.dropping(port: port)) }
                let receiver = try SequenceReceiver(lab: lab, on: Site.edge, port: 9)
                let stream = try SequenceSender(lab: lab, netns: "client", to: Site.edge, port: 9, rate: 2000)
                let result = try site.ctl(
                    "upgrade", "xdp:edge0", "dos", "--to", "1.1", "--canary=99.9%,99.99%", "--for=700ms", "-m", "try it"
                )
                #expect(result.succeeded, "\(result.errors)")
                #expect(result.output.contains("generation 3 is being tried"), "\(result.output)")
                #expect(result.output.contains("generation 3 is live, its canary went well"), "\(result.output)")
                let report = try receiver.report(sent: stream.stop())
                #expect(report.isPerfect && report.sent > 1000, "\(report)")
                let status = try site.status()
                #expect(status.live == 3 && status.canary == nil && status.stages[0].version == "1.1")
                let events = try site.events()
                #expect(events.contains { $0.message.contains("generation 3 has 99.99% of the flows now") })
                #expect(events.last { $0.action == "promote" }?.message.contains("try it") == true)
                // The way back is the usual one.
                #expect(try site.must("rollback", "xdp:edge0").contains("generation 3 -> 2"))
                #expect(try site.must("doctor").contains("generation 2 is live"))
            }
        }

        @Test func killedInMidCanaryTheSplitStaysAndTheNextStartGoesOn() async throws {
            try await Lab.run { lab in
                let canary = try CanarySite(lab)
                // Of so short a step every half second is recorded.
                try #require(try canary.begin(.drop, share: "20%", time: "50s", abortIf: CanarySite.never).succeeded)
                func sides() throws -> [Verdict] {
                    try (0..<1000).map { try canary.verdict(Flows.ipv4.pair($0).there) }
                }
                let before = try sides()
                #expect(Set(before) == [.drop, .pass])
                try lab.until("some of it is recorded") {
                    try canary.site.status(CanarySite.hook).canary?.elapsed ?? 0 > 1.2
                }
                canary.site.killDaemon()
                #expect(try sides() == before)
                try canary.site.start()
                #expect(try sides() == before)
                let status = try #require(try canary.site.status(CanarySite.hook).canary)
                #expect(status.candidate == 2 && status.share == 20 && status.elapsed > 0.4)
                #expect(status.tried.packets > 100 && status.tried.verdicts["drop"]?.packets == status.tried.packets)
                let aborted = try canary.site.must("canary", "abort", CanarySite.hook, "-m", "seen enough")
                #expect(aborted.contains("canary of generation 2 aborted, asked for"), "\(aborted)")
                #expect(try Set(sides()) == [.pass])
                #expect(try canary.leftovers(generations: [1]).isEmpty)
            }
        }

        @Test func whatGoesWrongWhileNoManagerRunsEndsItAtTheNextStart() async throws {
            try await Lab.run { lab in
                let canary = try CanarySite(lab)
                try #require(try canary.begin(.drop).succeeded)
                canary.site.killDaemon()
                let flood = try canary.flood()
                try lab.until("the candidate has had packets") {
                    try canary.directory.canaryCounts().tried.packets > 1000
                }
                try canary.site.start()
                let event = try canary.end()
                try flood.stop()
                #expect(event.message.contains("more than drop>+1%"), "\(event.message)")
            }
        }

        @Test func aBrokenChainBehindTheSplitterEndsIt() async throws {
            try await Lab.run { lab in
                let canary = try CanarySite(lab)
                try canary.site.apply(CanarySite.spec(.pass, stages: 2))
                let begun = try canary.site.ctl(
                    "apply", "-f", "-", "--canary", "50%", "--no-wait",
                    input: CanarySite.spec(.pass, generation: 2, stages: 2))
                try #require(begun.succeeded)
                // A program array empties itself with its pin: the candidate's packets find no second stage.
                try lab.check(["rm", canary.directory.generation(3).chain])
                let flood = try canary.flood(rate: 50_000)
                let event = try canary.end()
                try flood.stop()
                #expect(event.action == "abort")
                #expect(
                    event.message.contains("fallthrough") || event.message.contains("the pin \"chain\" has gone"),
                    "\(event.message)")
                #expect(try canary.leftovers(generations: [1, 2]).isEmpty)
            }
        }

        @Test(arguments: ["counts", "meta", "sides", "splitter", "step"], [true, false])
        func aCanaryThatLacksSomethingIsOver(_ pin: String, _ isWatched: Bool) async throws {
            try await Lab.run { lab in
                let canary = try CanarySite(lab)
                try #require(try canary.begin(.drop, share: "50%", abortIf: CanarySite.never).succeeded)
                if !isWatched { canary.site.killDaemon() }
                try lab.check(["rm", "\(canary.directory.canary.path)/\(pin)"])
                if !isWatched { try canary.site.start() }
                try lab.until("the live generation has it all") { try canary.traffic() == .init(live: 1) }
                try lab.until("nothing is left") { try canary.leftovers(generations: [1]).isEmpty }
                #expect(try canary.last(["abort", "recover"]).outcome == "done")
                #expect(try canary.verdict(Flows.ipv4.pair(1).there) == .pass)
            }
        }

        @Test func aCanaryWithoutPacketsIsNotPromoted() async throws {
            try await Lab.run { lab in
                let canary = try CanarySite(lab)
                let result = try canary.begin(.pass, time: "300ms", wait: true)
                #expect(result.status == .exited(3), "\(result.output) \(result.errors)")
                #expect(result.output.contains("no packet came its way"), "\(result.output)")
                #expect(try canary.site.status(CanarySite.hook).live == 1)
            }
        }

        @Test func nothingElseChangesMeanwhileButBackIsAlwaysOpen() async throws {
            try await Lab.run { lab in
                let canary = try CanarySite(lab)
                try canary.site.apply(CanarySite.spec(.pass, generation: 9))
                try #require(try canary.begin(.drop, share: "50%", abortIf: CanarySite.never).succeeded)
                for arguments in [["apply", "-f", "-"], ["apply", "-f", "-", "--canary", "5%"]] {
                    let refused = try canary.site.ctl(arguments, input: CanarySite.spec(.tx))
                    #expect(!refused.succeeded && refused.errors.contains("canary promote"), "\(refused.errors)")
                }
                let refused = try canary.site.ctl("rollback", CanarySite.hook, "--to", "3")
                #expect(refused.errors.contains("is being tried"), "\(refused.errors)")
                let unknown = try canary.site.ctl("rollback", CanarySite.hook, "--to", "99")
                #expect(unknown.errors.contains("generation 99 is not in the kernel; kept are: 1"), "\(unknown.errors)")
                #expect(try canary.site.must("gc").contains("nothing"))
                #expect(try canary.traffic() == .init(live: 2, candidate: 3))
                let status = try canary.site.must("status", CanarySite.hook)
                #expect(status.contains("generation 3 has 50% of the flows"), "\(status)")
                // Back from a canary is to its stable generation.
                let back = try canary.site.must("rollback", CanarySite.hook)
                #expect(back.contains("generation 2 has all of the traffic"), "\(back)")
                #expect(try canary.leftovers(generations: [1, 2]).isEmpty)
                // Further back, in one go.
                try #require(try canary.begin(.drop, share: "50%", abortIf: CanarySite.never).succeeded)
                try canary.site.must("rollback", CanarySite.hook, "--to", "1")
                #expect(try canary.leftovers(generations: [1, 2]).isEmpty)
                #expect(try canary.traffic() == .init(live: 1))
                // Out of the way, canary and all.
                try #require(try canary.begin(.drop, share: "50%", abortIf: CanarySite.never).succeeded)
                try canary.site.must("detach", CanarySite.hook)
                #expect(try canary.site.pins().isEmpty)
                #expect(try canary.site.must("doctor").contains("ok"))
            }
        }

        @Test func promotedByHandItMergesStateOnce() async throws {
            try await Lab.run { lab in
                let tallies = try Tallies(lab, versions: ["1.0", "2.0"])
                let site = tallies.site
                try site.start()
                try site.apply(Tallies.spec("1.0"))
                let flood = try tallies.flood(sources: 20_000)
                try lab.until("all sources are there") { flood.sent > 60_000 }
                let begun = try site.must(
                    "upgrade", Tallies.hook, "tally", "--to", "2.0", "--canary", "50%", "--no-wait", "--for", "1h")
                #expect(begun.contains("merged into it after the flip"), "\(begun)")
                let seen = flood.sent
                try lab.until("the flood goes on") { flood.sent > seen + 100_000 }
                let promoted = try site.must("canary", "promote", Tallies.hook)
                #expect(promoted.contains("merged 20000 entries"), "\(promoted)")
                let then = flood.sent
                try lab.until("the flood goes on") { flood.sent > then + 50_000 }
                let sent = try flood.stop()
                try tallies.settle(sent)
                #expect(try tallies.counts(of: 2).sum == sent)
                for number in 1...2 { #expect(try tallies.directory.generation(number).counters(1).packets > 10_000) }
            }
        }

        @Test func afterARebootTheLiveGenerationIsBackAndTheCanaryOver() async throws {
            try await Lab.run { lab in
                let canary = try CanarySite(lab)
                try #require(try canary.begin(.drop, share: "50%", abortIf: CanarySite.never).succeeded)
                canary.site.killDaemon()
                try RecoveryTests.loseKernel(canary.site, interface: "flood0")
                try canary.site.start()
                #expect(try canary.traffic() == .init(live: 1))
                #expect(try canary.last(["abort"]).message.contains("was not in the kernel any more"))
                #expect(try canary.leftovers(generations: [1]).isEmpty)
            }
        }

        @Test(arguments: [
            (["--canary", "0%"], "a share is at least 0.01%"), (["--canary", "100%"], "less than 100%"),
            (["--canary", "1e300%"], "less than 100%"), (["--canary", "nan%"], "write percentages"),
            (["--canary", "5%,5%"], "must be above the one before"), (["--canary", "5"], "write percentages"),
            (["--canary", "5%", "--for", "5"], "write a number with ms, s, m, h or d"),
            (["--canary", "5%", "--abort-if", "luck>+1%"], "there is no \"luck\" to compare"),
            (["--canary", "5%", "--abort-if", "drop>1%"], "write WHAT>+X%"),
            (["--canary", "5%", "--min-packets", "0"], "at least 1 packet"), (["--for", "5s"], "go with --canary"),
        ])
        func badRequestsAreNamedAndChangeNothing(_ arguments: [String], _ reason: String) async throws {
            try await Lab.run { lab in
                let canary = try CanarySite(lab)
                let before = try canary.site.snapshot()
                let result = try canary.site.ctl(["apply", "-f", "-"] + arguments, input: CanarySite.spec(.drop))
                #expect(!result.succeeded && result.errors.contains(reason), "\(arguments): \(result.errors)")
                #expect(try canary.site.snapshot() == before)
            }
        }

        @Test func aFirstApplyHasNothingToBeHeldAgainst() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                let result = try site.ctl("apply", "-f", "-", "--canary", "5%", input: Site.dropping(port: 7))
                #expect(result.errors.contains("apply without --canary first"), "\(result.errors)")
                #expect(try site.pins().isEmpty)
            }
        }
    }
}
