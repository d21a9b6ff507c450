// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// The daemon is killed while it merges old state into new, in a flood: nothing is counted twice, and nothing not at
    /// all.
    @Suite struct StateCrashTests {
        static let points: [FaultPoint] = [
            .mergePinned, .flipped, .mergeRunEnded, .mergeEnded, .mergeUnpinned, .liveRecorded,
        ]
        /// Enough for several runs of the merge program.
        static let sources = 20_000

        @Test(arguments: points)
        func aMergeIsDoneOnceWhereverTheDaemonIsKilled(_ point: FaultPoint) async throws {
            try await Lab.run { lab in
                let tallies = try Tallies(lab, versions: ["1.0", "2.0"])
                let site = tallies.site
                try site.start()
                try site.apply(Tallies.spec("1.0"))
                site.killDaemon()
                let flood = try tallies.flood(sources: Self.sources)
                try lab.until("all sources are there") { flood.sent > 3 * UInt64(Self.sources) }
                try site.start(fault: point.rawValue)
                _ = try site.ctl("upgrade", Tallies.hook, "tally", "--to", "2.0")
                #expect(try site.daemon!.wait(timeout: .seconds(10)) == .signaled(9), "\(point) was not reached")

                try site.start()
                let live = try site.status(Tallies.hook).live
                #expect(live == (point == .mergePinned ? 1 : 2))
                #expect(try site.must("doctor").contains("generation \(live ?? 0) is live"))
                if live == 1 { try site.must("upgrade", Tallies.hook, "tally", "--to", "2.0") }
                let seen = flood.sent
                try lab.until("the flood goes on") { flood.sent > seen + 10_000 }
                let sent = try flood.stop()
                try tallies.settle(sent)
                #expect(try tallies.counts(of: site.status(Tallies.hook).live!).sum == sent)
                #expect(try !site.pins().contains { $0.contains("merge_") })
            }
        }

        @Test func aMergeThatFailsIsToldAndGoneOnWith() async throws {
            try await Lab.run { lab in
                let tallies = try Tallies(lab, versions: ["1.0", "2.0"])
                let site = tallies.site
                try site.start()
                try site.apply(Tallies.spec("1.0"))
                try tallies.flood(sources: Self.sources, count: 50_000).wait()
                site.killDaemon()
                try site.start(fault: FaultPoint.mergeRunEnded.rawValue)
                _ = try site.ctl("upgrade", Tallies.hook, "tally", "--to", "2.0")
                #expect(try site.daemon!.wait(timeout: .seconds(10)) == .signaled(9))
                // In its place a program that cannot be run so.
                let generation = tallies.directory.generation(2)
                try lab.check(["mv", generation.merge(1, "tally_v1"), "\(lab.bpffs)/aside"])
                try lab.check(["ln", generation.stage(1), generation.merge(1, "tally_v1")])
                try site.start()
                #expect(try site.events().contains { $0.action == "merge" && $0.outcome == "failed" })
                #expect(try site.ctl("doctor").output.contains("old state has yet to be merged into generation 2"))
                // Nothing is put on top of it, but the way back is open.
                let refused = try site.ctl("apply", "-f", "-", input: Tallies.spec("1.0"))
                #expect(refused.errors.contains("merge state map \"tally\""), "\(refused.errors)")
                try site.must("rollback", Tallies.hook)
                try site.must("rollback", Tallies.hook)
                try lab.check(["rm", generation.merge(1, "tally_v1")])
                try lab.check(["mv", "\(lab.bpffs)/aside", generation.merge(1, "tally_v1")])
                site.killDaemon()
                try site.start()
                #expect(try tallies.counts(of: 2).sum == 50_000)
                #expect(try site.must("doctor").contains("generation 2 is live"))
            }
        }
    }
}
