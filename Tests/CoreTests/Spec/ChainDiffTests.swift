// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import StageKit
import Testing

@testable import SluiceCore

@Suite struct ChainDiffTests {
    private func chain(_ stages: [(name: String, version: String, config: JSON)], counters: Bool = true)
        -> ResolvedChain
    {
        var spec = try! ChainSpec(hook: HookID(parsing: "xdp:eth0"), stages: [])
        spec.counters = counters
        spec.stages = stages.map {
            StageSpec(name: $0.name, source: .plugin(.init(name: "dos", version: $0.version, config: $0.config)))
        }
        return ResolvedChain(
            spec: spec, frags: false,
            stages: stages.map {
                ResolvedStage(
                    name: $0.name, source: .plugin(.init(name: "dos", version: $0.version, runs: false)),
                    artifact: "digest of \($0.version)",
                    plan: StagePlan(object: "o", program: "p", verdicts: [.next], summary: ["drops a lot"]),
                    state: [:])
            })
    }

    private func diff(_ old: ResolvedChain?, _ new: ResolvedChain) -> ChainPlan {
        let stored = old.map {
            StoredGeneration(
                number: 3, state: .live, created: "", liveSince: nil, author: "", message: "", changes: [], resolved: $0
            )
        }
        return ChainDiff(old: stored, new: new).plan(notes: [])
    }

    @Test func nothing() {
        let one = chain([("a", "1.0", ["x": 1])])
        #expect(diff(one, one) == ChainPlan(hook: "xdp:eth0", action: .none, lines: [], notes: []))
    }

    @Test func creation() {
        let plan = diff(nil, chain([("a", "1.0", [:])]))
        #expect(plan.action == .create)
        #expect(plan.lines.contains("+ stage a: dos 1.0") && plan.lines.contains("    drops a lot"))
    }

    @Test func everyKindOfChange() {
        let old = chain([("a", "1.0", ["x": 1, "list": [1, 2]]), ("b", "1.0", [:]), ("gone", "1.0", [:])])
        let new = chain(
            [("b", "1.0", [:]), ("a", "1.1", ["x": 2, "list": [1], "y": ["z": true]]), ("c", "1.0", [:])],
            counters: false)
        let plan = diff(old, new)
        #expect(plan.action == .update)
        #expect(
            plan.lines == [
                "~ counters: true -> false", "- stage gone: dos 1.0", "~ stage a:", "    ~ plugin: dos 1.0 -> dos 1.1",
                "    - list[1]: 2", "    ~ x: 1 -> 2", "    + y.z: true", "+ stage c: dos 1.0", "    drops a lot",
                "~ order: a, b -> b, a",
            ])
    }
}
