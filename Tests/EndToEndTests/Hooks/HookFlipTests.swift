// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// The promise of the whole design, at every hook: a flip loses nothing, and nothing sees two generations.
    @Suite struct HookFlipTests {
        /// How many flips there are at each hook: `SLUICE_FLIPS` in the environment.
        static let flips = ProcessInfo.processInfo.environment["SLUICE_FLIPS"].flatMap { Int($0) } ?? 300

        @Test(arguments: HookCase.all)
        func flipsUnderTrafficLoseNothingAndMixNothing(_ row: HookCase) async throws {
            try await HookSite.run(row) { hooks in
                for generation in 1...2 { try hooks.site.apply(hooks.walk(generation)) }
                let caller = try hooks.start()
                let start = ContinuousClock.now
                let shares = { try (1...2).map { try hooks.directory.generation($0).counters(2).packets } }
                var flips = 0
                // Both generations must have their share, or the test shows nothing.
                while try flips < Self.flips || caller.offered < 1000 || shares().min()! < 20 {
                    guard caller.isRunning, flips < 100 * Self.flips else { break }
                    try hooks.directory.flip(to: flips % 2 + 1)
                    flips += 1
                }
                let flipped = ContinuousClock.now - start
                let tally = try caller.stop()
                let marks = try hooks.marks()
                let walks = try shares()
                print(
                    "\(row.testDescription): \(flips) flips in \(flipped), \(tally), \(marks.consistent) seen by one "
                        + "generation, \(marks.mixed) by two; generations' walks: \(walks)")
                #expect(tally.isPerfect)
                #expect(marks.consistent == tally.offered)
                #expect(marks.mixed == 0)
                // Of a TCP connection there is more than one event.
                if row.kind != .sockops { #expect(walks.reduce(0, +) == tally.offered) }
                #expect(try hooks.fallbacks() == 0)
                for walk in walks { #expect(walk >= 20) }

                // Nor would it if a mix were not seen. Here every walk meets the stages of two.
                try hooks.site.apply(hooks.walk(1, checks: 2))
                let mixed = try hooks.call(50, wait: 50)
                #expect(try hooks.marks().consistent == marks.consistent)
                #expect(try hooks.marks().mixed >= mixed.offered)
                // Where a call can tell, it does.
                let isTold = row.kind.place == .cgroup && !row.kind.hasPackets && row.kind != .sockops
                #expect(mixed.wrong + mixed.lost == (isTold ? mixed.offered : 0), "\(mixed)")
            }
        }
    }
}
