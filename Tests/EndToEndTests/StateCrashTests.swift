// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import SluiceCore
import StageTesting
import Testing

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
    }
}
