// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
internal import SluiceAPI
internal import StageKit

/// A chain that is ready to be built: resolved, checked, and held against what is live.
struct PreparedChain {
    var hook: HookID
    var resolved: ResolvedChain
    /// The installed folder of each artifact, by digest.
    var sources: [String: String]
    var live: StoredGeneration?
    var plan: ChainPlan
}

extension Manager {
    /// Answers every question a spec leaves open, with the plugins' help, and checks the answers. Changes nothing.
    func prepare(_ spec: ChainSpec) async throws -> PreparedChain {
        let hook = try HookID(parsing: spec.hook)
        let live = try liveGeneration(of: hook)
        let frags = try spec.frags ?? live?.resolved.frags ?? XDPHook(directory: directory(hook)).needsFrags()
        var resolved = ResolvedChain(spec: spec, frags: frags, stages: [])
        var sources: [String: String] = [:]
        // Plugins are processes: the stages' are asked at the same time.
        let answers = try await withThrowingTaskGroup(of: (Int, PlannedStage).self) { group in
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
                group.addTask {
                    // A plan is a pure function: the same plugin and configuration need not be asked twice.
                    if same, let before, case .plugin(let known) = before.source {
                        return (index, PlannedStage(installed, digest, before.plan, runs: known.runs))
                    }
                    let context = PlanContext(hook: hook.description, stage: stage.name)
                    let (description, plan) = try await plugins.plan(
                        installed, config: plugin.config, context: context, kind: hook.kind)
                    return (index, PlannedStage(installed, digest, plan, runs: description.runs))
                }
            }
            var answers = [PlannedStage?](repeating: nil, count: spec.stages.count)
            for try await (index, answer) in group { answers[index] = answer }
            return answers
        }
        for (index, stage) in spec.stages.enumerated() {
            guard let answer = answers[index], case .plugin(var plugin) = stage.source else {
                throw APIErrorBody.refused("\(hook): stage \"\(stage.name)\": objects cannot be adopted yet")
            }
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
            let version = answer.installed.version.description
            plugin.version = version
            resolved.spec.stages[index].source = .plugin(plugin)
            resolved.stages.append(
                ResolvedStage(
                    name: stage.name,
                    source: .plugin(.init(name: plugin.name, version: version, runs: answer.runs)),
                    artifact: answer.digest, plan: answer.plan, state: state))
            sources[answer.digest] = answer.installed.path
        }
        var notes = try await migrations(of: resolved, from: live)
        if let live {
            try checkRoot(resolved, against: live.resolved)
            if try !directory(hook).isAttached() {
                notes.append("the root is not attached any more; apply attaches it again")
            }
        }
        return PreparedChain(
            hook: hook, resolved: resolved, sources: sources, live: live,
            plan: ChainDiff(old: live, new: resolved).plan(notes: notes))
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

    /// What becomes of the live generation's state, map by map; where a layout differs, as the plugin says.
    private func migrations(of chain: ResolvedChain, from live: StoredGeneration?) async throws -> [String] {
        guard let live else { return [] }
        var notes: [String] = []
        for before in live.resolved.stages {
            let stage = chain.stages.first { $0.name == before.name && $0.owner == before.owner }
            for (map, old) in before.state.sorted(by: { $0.key < $1.key }) {
                let fate: String
                if let stage, let schema = stage.state[map] {
                    fate =
                        old == schema
                        ? "is shared with generation \(live.number)"
                        : try await newLayout(of: map, old, schema, stage, before, live.number, chain.spec.hook)
                } else {
                    fate = "is used no more; a rollback to generation \(live.number) finds it as it is now"
                }
                notes.append("stage \"\(before.name)\": state map \"\(map)\" \(fate)")
            }
        }
        return notes
    }

    /// Asks the plugin about a state map whose layout or size differs from the live one's.
    private func newLayout(
        of map: String, _ old: String, _ schema: String, _ stage: ResolvedStage, _ before: ResolvedStage, _ number: Int,
        _ hook: String
    ) async throws -> String {
        guard case .plugin(let plugin) = stage.source, case .plugin(let older) = before.source else {
            throw APIErrorBody.refused(
                "\(hook): stage \"\(stage.name)\": state map \"\(map)\" has another layout or size than in generation "
                    + "\(number), and an adopted object cannot say what becomes of its data; keep the size, or give the "
                    + "stage another name, with which its state starts empty")
        }
        let request = MigrationRequest(map: map, fromVersion: older.version, fromSchema: old, toSchema: schema)
        let installed = try plugins.find(plugin.name, version: plugin.version, stage: stage.name)
        guard try await plugins.migrate(installed, request) == .drop else {
            throw APIErrorBody.refused(
                "\(hook): stage \"\(stage.name)\": state map \"\(map)\" has another layout or size than in generation "
                    + "\(number) (\(before.title)), and its plugin refuses to start it empty; keep the size, "
                    + "or detach the hook and apply again, which loses that state")
        }
        let pin = directory(try HookID(parsing: hook)).state(stage: stage.name, map: map, schema: schema)
        return Bpffs.exists(pin)
            ? "has another layout; it is as an older generation that is still kept left it"
            : "has another layout; it starts empty, as its plugin says"
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
