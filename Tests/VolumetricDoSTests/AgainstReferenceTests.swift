// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing
import VolumetricDoS

let mayLoadPrograms: Comment = "needs root, to load programs"

/// What should become of packets, by the plain matcher, and the counts that follow.
private struct Expectation {
    let configuration: Configuration
    var reasons: [Reason: UInt64] = [:]
    /// Per rule: packets, bytes, dry-run.
    var rules: [[UInt64]]

    init(_ configuration: Configuration) {
        self.configuration = configuration
        rules = configuration.rules.map { _ in [0, 0, 0] }
    }

    mutating func verdict(_ frame: [UInt8]) -> Verdict {
        switch Parsed(frame) {
        case .arp: return finish(.arp)
        case .neighbourDiscovery: return finish(.ndp)
        case .notIP: return finish(.notIP)
        case .malformed(let source):
            if let source, isAllowed(source) { return finish(.allowed) }
            return finish(configuration.malformed == .drop ? .malformed : .malformedPassed)
        case .packet(let facts, let laterFragment):
            if laterFragment { reasons[.fragment, default: 0] += 1 }
            if isAllowed(facts.source) { return finish(.allowed) }
            for (index, rule) in configuration.rules.enumerated() where rule.matches(facts) {
                if rule.dryRun || rule.action == .drop && configuration.dryRun {
                    rules[index][2] += 1
                } else {
                    rules[index][0] += 1
                    rules[index][1] += UInt64(frame.count)
                }
                if !rule.dryRun, rule.action != .count {
                    return finish(rule.action == .drop ? .rule : .rulePassed)
                }
            }
            return finish(.passed)
        }
    }

    private func isAllowed(_ source: IPAddress) -> Bool {
        configuration.allow.contains { $0.contains(source) }
    }

    private mutating func finish(_ reason: Reason) -> Verdict {
        let drops = reason == .malformed || reason == .rule
        let counted = drops && configuration.dryRun ? Reason(rawValue: reason.rawValue + 1)! : reason
        reasons[counted, default: 0] += 1
        return drops && !configuration.dryRun ? .drop : .next
    }
}

@Suite("The program against a plain matcher", .enabled(if: getuid() == 0, mayLoadPrograms))
struct AgainstReferenceTests {
    /// How many times 10 configurations with 250 packets each are tried; `SLUICE_FUZZ=400` makes it a million.
    private static let batches = getenv("SLUICE_FUZZ").flatMap { Int(String(cString: $0)) } ?? 8

    /// Over both versions.
    @Test(arguments: 0..<batches)
    func randomRulesAndPackets(batch: Int) throws {
        for number in 0..<10 {
            let seed = UInt64(batch * 10 + number)
            var random = SeededGenerator(seed: seed)
            let configuration = random.configuration()
            let isNewer = random.chance(0.5)
            var plan = try isNewer ? Configuration1_1(configuration).plan() : configuration.plan()
            plan.frags = random.chance(0.5)
            let target = isNewer ? "volumetric-dos-1_1" : "volumetric-dos-1_0"
            let stage = try StageUnderTest(plan, objects: StageUnderTest.objects(of: target))
            var expectation = Expectation(configuration)
            for _ in 0..<250 {
                let frame = random.frame()
                let expected = expectation.verdict(frame)
                let verdict = try stage.run(frame).verdict
                #expect(
                    verdict == expected,
                    "seed \(seed), \(plan.summary), frame \(Bytes(frame).hex), parsed as \(Parsed(frame))")
            }
            for reason in Reason.allCases {
                let counted = try stage.counter("reasons", reason.label)
                #expect(counted == expectation.reasons[reason, default: 0], "seed \(seed), \(reason)")
            }
            for (index, expected) in expectation.rules.enumerated() {
                let counted = try ["packets", "bytes", "dry-run"].map {
                    try stage.counter("rules", "rules[\(index)]", $0)
                }
                #expect(counted == expected, "seed \(seed), rules[\(index)]")
            }
        }
    }

    /// That the packets above are worth something: all that can become of one does, often enough.
    @Test func randomPacketsReachEverything() {
        var seen: [Reason: UInt64] = [:]
        for seed in 0..<200 {
            var random = SeededGenerator(seed: UInt64(seed))
            var expectation = Expectation(random.configuration())
            for _ in 0..<100 { _ = expectation.verdict(random.frame()) }
            seen.merge(expectation.reasons, uniquingKeysWith: +)
        }
        for reason in Reason.allCases where reason.rawValue < Reason.ruleLimit.rawValue && reason != .limitFull {
            #expect(seen[reason, default: 0] >= 50, "\(reason)")
        }
    }
}
