// SPDX-License-Identifier: Apache-2.0

internal import SluiceAPI
internal import StageKit

/// What a new chain changes, a readable line each.
struct ChainDiff {
    let old: StoredGeneration?
    let new: ResolvedChain

    func plan(notes: [String]) -> ChainPlan {
        let lines = lines()
        let action: PlanAction = old == nil ? .create : old!.resolved == new ? .none : .update
        return ChainPlan(hook: new.spec.hook, action: action, lines: action == .none ? [] : lines, notes: notes)
    }

    func lines() -> [String] {
        var lines: [String] = []
        let before = old?.resolved
        for (key, was, now) in settings(before) where was != now {
            lines.append(was.map { "~ \(key): \($0) -> \(now)" } ?? "+ \(key): \(now)")
        }
        let (was, now) = (before?.spec.match ?? [], new.spec.match ?? [])
        lines += was.filter { !now.contains($0) }.map { "- match: \($0)" }
        lines += now.filter { !was.contains($0) }.map { "+ match: \($0)" }
        for stage in before?.stages ?? [] where !new.stages.contains(where: { $0.name == stage.name }) {
            lines.append("- stage \(stage.name): \(stage.title)")
        }
        for (index, stage) in new.stages.enumerated() {
            let config = new.spec.stages[index].config
            guard let place = before?.stages.firstIndex(where: { $0.name == stage.name }), let before else {
                lines.append("+ stage \(stage.name): \(stage.title)")
                lines += stage.plan.summary.map { "    \($0)" }
                continue
            }
            lines += changes(of: stage, config, from: before.stages[place], before.spec.stages[place].config)
        }
        let kept = new.stages.map(\.name).filter { name in before?.stages.contains { $0.name == name } == true }
        let order = before?.stages.map(\.name).filter(kept.contains) ?? []
        if kept != order {
            lines.append("~ order: \(order.joined(separator: ", ")) -> \(kept.joined(separator: ", "))")
        }
        return lines
    }

    private func changes(
        of stage: ResolvedStage, _ config: JSON, from old: ResolvedStage, _ oldConfig: JSON
    ) -> [String] {
        var inner: [String] = []
        let kind = if case .plugin = stage.source { "plugin" } else { "object" }
        func shown(_ stage: ResolvedStage) -> String { stage.record.object ?? stage.title }
        if stage.title != old.title {
            inner.append("~ \(kind): \(shown(old)) -> \(shown(stage))")
        } else if stage.artifact != old.artifact {
            inner.append(
                "~ \(kind): \(shown(stage)) was rebuilt: \(old.artifact.prefix(12)) -> \(stage.artifact.prefix(12))")
        }
        let was = flatten(oldConfig, "")
        let now = flatten(config, "")
        for key in Set(was.keys).union(now.keys).sorted() where was[key] != now[key] {
            switch (was[key], now[key]) {
            case (let was?, nil): inner.append("- \(key): \(was)")
            case (nil, let now?): inner.append("+ \(key): \(now)")
            case (let was?, let now?): inner.append("~ \(key): \(was) -> \(now)")
            case (nil, nil): break
            }
        }
        return inner.isEmpty ? [] : ["~ stage \(stage.name):"] + inner.map { "    \($0)" }
    }

    private func settings(_ old: ResolvedChain?) -> [(String, String?, String)] {
        return [
            ("mode", old?.spec.mode.rawValue, new.spec.mode.rawValue),
            ("frags", old.map { "\($0.frags)" }, "\(new.frags)"),
            ("counters", old.map { "\($0.spec.counters)" }, "\(new.spec.counters)"),
            ("on-fault", old?.spec.onFault.rawValue, new.spec.onFault.rawValue),
        ]
    }

    /// `rules[0].source: "10.0.0.0/8"`, a line a leaf.
    private func flatten(_ value: JSON, _ path: String) -> [String: String] {
        switch value {
        case .object(let object) where !object.members.isEmpty:
            object.members.reduce(into: [:]) { result, member in
                result.merge(flatten(member.value, path.isEmpty ? member.key : "\(path).\(member.key)")) { first, _ in
                    first
                }
            }
        case .array(let list) where !list.isEmpty:
            list.enumerated().reduce(into: [:]) { result, item in
                result.merge(flatten(item.element, "\(path)[\(item.offset)]")) { first, _ in first }
            }
        default: path.isEmpty ? [:] : [path: "\(value)"]
        }
    }
}
