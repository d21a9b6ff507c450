// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing

@testable import L4LB

@Suite("The program against plain Swift", .enabled(if: Lab.isAvailable, "needs root, to load programs"))
struct AgainstReferenceTests {
    /// How many times 10 configurations with 250 frames each are tried; `SLUICE_FUZZ=80` makes it 200,000 frames.
    private static let batches = getenv("SLUICE_FUZZ").flatMap { Int(String(cString: $0)) } ?? 4

    private struct Trial {
        let reference: ReferenceBalancer
        let words: [MapEntry]

        init(_ random: inout SeededGenerator) {
            let configuration = random.balancerConfiguration()
            let (entries, words) = random.words(of: configuration.servers)
            reference = ReferenceBalancer(configuration, words: words)
            self.words = entries
        }
    }

    @Test(arguments: 0..<batches)
    func randomConfigurationsAndFrames(batch: Int) throws {
        for number in 0..<10 {
            let seed = UInt64(batch * 10 + number)
            var random = SeededGenerator(seed: seed)
            let trial = Trial(&random)
            var plan = try trial.reference.configuration.plan()
            plan.frags = random.chance(0.5)
            let stage = try StageUnderTest(plan, objects: StageUnderTest.objects(of: "l4lb-1_0"))
            try stage.make(
                StageChange(updates: [MapUpdate(map: "servers_live", entries: trial.words)], summary: ["words"]))
            var counted: [Outcome: UInt64] = [:]
            for _ in 0..<250 {
                let frame = random.balancerFrame(trial.reference.configuration)
                let expected = trial.reference.take(frame)
                let outcome = try stage.run(frame)
                #expect(
                    outcome.verdict == expected.verdict && outcome.packet == expected.frame,
                    """
                    seed \(seed), \(expected.outcomes): \(String(describing: outcome.verdict)) for \(expected.verdict)
                    frame \(Bytes(frame).hex)
                    gives \(Bytes(outcome.packet).hex)
                    not   \(Bytes(expected.frame).hex)
                    """)
                for outcome in expected.outcomes { counted[outcome, default: 0] += 1 }
            }
            for outcome in Outcome.allCases {
                #expect(
                    try stage.counter("verdicts", outcome.label) == counted[outcome, default: 0],
                    "seed \(seed), \(outcome)")
            }
        }
    }

    /// That the frames above are worth something: all that can become of one without sockets does, often enough.
    @Test func randomFramesReachEverything() {
        var seen: [Outcome: Int] = [:]
        for seed in 0..<100 {
            var random = SeededGenerator(seed: UInt64(seed))
            let trial = Trial(&random)
            for _ in 0..<100 {
                for outcome in trial.reference.take(random.balancerFrame(trial.reference.configuration)).outcomes {
                    seen[outcome, default: 0] += 1
                }
            }
        }
        let others: Set<Outcome> = [.unrouted, .empty, .keptEstablished, .keptCookie, .keptConnected]
        for outcome in Outcome.allCases where !others.contains(outcome) {
            #expect(seen[outcome, default: 0] >= 20, "\(outcome)")
        }
    }
}
