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
            let end = first + (Self.setting("SLUICE_SOAK_SEQUENCES") ?? 100)
            var (done, sent, failures) = (0, UInt64(0), 0)
            // History grows, and with it what there is to read: so a fresh lab now and then. One leaves half of two
            // processors idle: so two at a time.
            var chunks = stride(from: first, to: end, by: 25).map { $0..<min(end, $0 + 25) }.makeIterator()
            try await withThrowingTaskGroup(of: Chunk.self) { group in
                for _ in 0..<2 {
                    if let chunk = chunks.next() { group.addTask { try await Self.run(chunk) } }
                }
                while let chunk = try await group.next() {
                    done += chunk.done
                    sent += chunk.sent
                    failures += chunk.failures.count
                    for failure in chunk.failures { Issue.record("\(failure)") }
                    print("soak: \(done) sequences, seeds from \(first) on, \(sent) packets, \(failures) failures")
                    if failures < 5, let next = chunks.next() { group.addTask { try await Self.run(next) } }
                }
            }
        }

        private struct Chunk {
            var done = 0
            var sent: UInt64 = 0
            var failures: [String] = []
        }

        /// After a failure the rest goes on in a fresh lab.
        private static func run(_ seeds: Range<UInt64>) async throws -> Chunk {
            var chunk = Chunk()
            var rest = seeds
            while !rest.isEmpty, chunk.failures.count < 5 {
                let part = rest
                let outcome = try await Lab.run { lab in try run(part, in: lab) }
                rest = outcome.next..<seeds.upperBound
                chunk.done = Int(outcome.next - seeds.lowerBound)
                chunk.sent += outcome.sent
                if let failure = outcome.failure {
                    chunk.failures.append("the sequence of seed \(outcome.next - 1), \(failure)")
                }
            }
            return chunk
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
