// SPDX-License-Identifier: Apache-2.0

import Foundation
import StageTesting
import Synchronization
import Testing

extension EndToEnd {
    /// Random sequences of changes, crashes and other people's deeds under traffic. `SLUICE_SOAK_SEED` is the first
    /// sequence's seed, `SLUICE_SOAK_SEQUENCES` says how many there are; the seed after is the next one's.
    @Suite struct SoakTests {
        private static func setting(_ name: String) -> UInt64? {
            ProcessInfo.processInfo.environment[name].flatMap(UInt64.init)
        }

        @Test func everySequenceEndsAsItMust() async throws {
            let first = Self.setting("SLUICE_SOAK_SEED") ?? 1
            let end = first + (Self.setting("SLUICE_SOAK_SEQUENCES") ?? 40)
            let tally = Mutex((done: UInt64(0), sent: UInt64(0), failures: 0))
            // History grows, and with it what there is to read: so a fresh lab now and then, and after each failure.
            try await atOnce(stride(from: first, to: end, by: 20), 2) { seed in
                var range = seed..<min(end, seed + 20)
                while !range.isEmpty, tally.withLock({ $0.failures }) < 5 {
                    let outcome = try await Lab.run { [range] lab in try Self.run(range, in: lab) }
                    let now = tally.withLock { tally in
                        tally.done += outcome.next - range.lowerBound
                        tally.sent += outcome.sent
                        if outcome.failure != nil { tally.failures += 1 }
                        return tally
                    }
                    if let failure = outcome.failure {
                        Issue.record("the sequence of seed \(outcome.next - 1), \(failure)")
                    }
                    range = outcome.next..<range.upperBound
                    print("soak: \(now.done) sequences, \(now.sent) packets, \(now.failures) failures")
                }
            }
        }

        private static func run(
            _ seeds: Range<UInt64>, in lab: Lab
        ) throws -> (next: UInt64, sent: UInt64, failure: String?) {
            let soak = try Soak(lab)
            var sent: UInt64 = 0
            for seed in seeds {
                do { sent += try soak.run(seed: seed) } catch { return (seed + 1, sent, "\(error)") }
            }
            return (seeds.upperBound, sent, nil)
        }
    }
}
