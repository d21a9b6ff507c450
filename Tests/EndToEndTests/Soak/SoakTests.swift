// SPDX-License-Identifier: Apache-2.0

import Foundation
import StageTesting
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
            let end = first + (Self.setting("SLUICE_SOAK_SEQUENCES") ?? 12)
            var (seed, sent, failures) = (first, UInt64(0), 0)
            // History grows, and with it what there is to read: so a fresh lab now and then, and after each failure.
            while seed < end, failures < 5 {
                let range = seed..<min(end, seed + 25)
                let outcome = try await Lab.run { lab in try Self.run(range, in: lab) }
                seed = outcome.next
                sent += outcome.sent
                if let failure = outcome.failure {
                    failures += 1
                    Issue.record("the sequence of seed \(seed - 1), \(failure)")
                }
                print("soak: \(seed - first) sequences from seed \(first) on, \(sent) packets, \(failures) failures")
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
