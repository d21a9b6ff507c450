// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
internal import SluiceAPI
internal import StageKit

/// A chain that is ready to be built: resolved, checked, and held against what is live.
struct PreparedChain {
    var hook: HookID
    var resolved: ResolvedChain
    /// The installed folder or the object of each artifact, by digest.
    var sources: [String: String]
    var live: StoredGeneration?
    var plan: ChainPlan
    /// What it takes over of state in other layouts.
    var transfer: StateTransfer
    /// The plan's lines, and what becomes of state that does not simply go on: for the records.
    var changes: [String]
    /// The maps of a running program that new stages go on with.
    var inherited: InheritedMaps = [:]
    /// The running program that a new stage stands in for, at a hook where both have room.
    var displaced: ForeignProgram?
}

extension Manager {
    /// Answers every question a spec leaves open, with the plugins' help, and checks the answers. Changes nothing.
    /// - Parameter keepingObjects: whether adopted stages stay what they are in the live generation, whatever has become
    ///   of the files they were read from.
    func prepare(_ spec: ChainSpec, keepingObjects: Bool = false) async throws -> PreparedChain {
        let hook = try HookID(parsing: spec.hook)
        let live = try liveGeneration(of: hook)
        let frags = try spec.frags ?? live?.resolved.frags ?? directory(hook).attachment.needsFrags()
        var resolved = ResolvedChain(spec: spec, frags: frags, stages: [])
        var sources: [String: String] = [:]
        var maps: [String: StateMaps] = [:]
        // Plugins are processes: the stages' are asked a few at a time.
        let answers = try await withThrowingTaskGroup(of: (Int, PlannedStage).self) { group in
            var answers = [PlannedStage?](repeating: nil, count: spec.stages.count)
            var asked = 0
            for (index, stage) in spec.stages.enumerated() {
                guard case .plugin(let plugin) = stage.source else { continue }
                let installed = try plugins.find(plugin.name, version: plugin.version, stage: stage.name)
                let digest = try artifacts.digest(of: installed.path)
                let before = live?.resolved.stages.first {
                    $0.name == stage.name && $0.artifact == digest
                        && $0.record.version == installed.version.description
                }
                let same =
                    before != nil && live?.resolved.spec.stages.first { $0.name == stage.name }?.config == stage.config
                let plugins = plugins
                asked += 1
                if asked > PluginCatalog.atOnce, let (index, answer) = try await group.next() {
                    answers[index] = answer
                }
                group.addTask {
                    // A plan is a pure function: the same plugin and configuration need not be asked twice.
                    if same, let before, case .plugin(let known) = before.source {
                        return (index, PlannedStage(installed, digest, before.plan, runs: known.runs))
                    }
                    let context = PlanContext(now: hook, stage: stage.name)
                    let (description, plan) = try await plugins.plan(
                        installed, config: plugin.config, context: context, kind: hook.kind)
                    return (index, PlannedStage(installed, digest, plan, runs: plan.runs ?? description.runs))
                }
            }
            for try await (index, answer) in group { answers[index] = answer }
            return answers
        }
        var notes: [String] = []
        for (index, stage) in spec.stages.enumerated() {
            if case .object(let source) = stage.source {
                let kept = keepingObjects ? live?.resolved.stages.first { $0.name == stage.name } : nil
                let adopted = try prepare(stage, adopting: source, at: hook.kind, frags: frags, kept: kept)
                resolved.spec.stages[index] = adopted.spec
                resolved.stages.append(adopted.resolved)
                sources[adopted.resolved.artifact] = adopted.path
                maps[stage.name] = StateMaps(adopted: adopted.resolved.state)
                notes += adopted.notes
                if let bit = hook.kind.secondBit, source.proceedOn.contains(.pass), index + 1 < spec.stages.count {
                    notes.append(
                        "stage \"\(stage.name)\": what bit 1 of its answer says at this hook, \(bit), is lost behind another "
                            + "stage; if it says so, make it the last")
                }
            }
            guard let answer = answers[index], case .plugin(var plugin) = stage.source else { continue }
            guard !frags || answer.plan.frags else {
                throw APIErrorBody.refused(
                    "\(hook): stage \"\(stage.name)\" does not cope with packets in fragments, but the chain takes them; "
                        + "set `frags: false` for the chain, which limits the interface's MTU to about 3,500 bytes")
            }
            let object = try failing("stage \"\(stage.name)\"") {
                try BPFObject(contentsOf: "\(answer.installed.path)/\(answer.plan.object)")
            }
            let state = try ObjectCheck(stage: stage.name, plugin: plugin.name, plan: answer.plan, object: object)
                .run()
            maps[stage.name] = state
            let version = answer.installed.version.description
            plugin.version = version
            resolved.spec.stages[index].source = .plugin(plugin)
            resolved.stages.append(
                ResolvedStage(
                    name: stage.name,
                    source: .plugin(.init(name: plugin.name, version: version, runs: answer.runs)),
                    artifact: answer.digest, plan: answer.plan, state: state.schemas))
            sources[answer.digest] = answer.installed.path
        }
        notes += unmetNeeds(of: hook, resolved)
        let fates = try await fates(of: live, in: resolved, maps)
        notes += fates.map(\.note)
        if let live {
            try checkRoot(resolved, against: live.resolved)
            let survey = try directory(hook).attachment.survey()
            if survey.isWaiting {
                notes.append("there is no such interface now; the root is attached when there is")
            } else if !survey.isInPlace {
                notes.append("the root is not attached any more; apply attaches it again")
            }
        }
        let plan = ChainDiff(old: live, new: resolved).plan(notes: notes)
        return PreparedChain(
            hook: hook, resolved: resolved, sources: sources, live: live, plan: plan,
            transfer: fates.reduce(into: [:]) { $0[$1.stage, default: [:]].merge($1.before) { first, _ in first } },
            changes: plan.lines + fates.filter { !$0.isShared }.map { "~ \($0.note)" })
    }

    /// The record of the generation that is live in the kernel; nil when none is.
    func liveGeneration(of hook: HookID) throws -> StoredGeneration? {
        guard let number = try directory(hook).live() else { return nil }
        guard let stored = try store.generation(number, of: hook.description) else {
            throw APIErrorBody.conflict(
                "\(hook): generation \(number) is live, but the database has no record of it; "
                    + "restore \(configuration.state)/sluice.db, or detach the hook and apply again")
        }
        return stored
    }

    /// What is fixed when the root is attached cannot be changed by a flip.
    private func checkRoot(_ new: ResolvedChain, against old: ResolvedChain) throws {
        let fixed: [(String, Bool)] = [
            ("mode", new.spec.mode == old.spec.mode), ("frags", new.frags == old.frags),
            ("on-fault", new.spec.onFault == old.spec.onFault),
        ]
        for (key, same) in fixed where !same {
            throw APIErrorBody.refused(
                "\(new.spec.hook): `\(key)` is fixed when the root is attached; detach the hook and apply again to change it"
            )
        }
    }
}

private struct PlannedStage: Sendable {
    var installed: InstalledPlugin
    var digest: String
    var plan: StagePlan
    var runs: Bool

    init(_ installed: InstalledPlugin, _ digest: String, _ plan: StagePlan, runs: Bool) {
        self.installed = installed
        self.digest = digest
        self.plan = plan
        self.runs = runs
    }
}
