// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Logging
internal import SluiceAPI
internal import StageKit

/// The `run` work of one live stage.
struct LiveRun {
    var session: RunSession
    var generation: Int
    /// What the session was started for; another plugin or configuration needs another session.
    var artifact: String
    var config: JSON
}

extension Manager {
    /// Makes the `run` work that goes on that of the live stages: starts, stops, and tells of flips.
    ///
    /// Sessions run the artifact, not the installed plugin: what is live keeps its own code. What they set belongs to
    /// the generation they set it in, so each flip and rollback makes them set it again.
    func updateRuns(after action: String = "start") {
        var wanted: Set<RunKey> = []
        for hook in (try? knownHooks()) ?? [] {
            for (isCandidate, generation) in (try? generationsWithTraffic(of: hook)) ?? [] {
                for (index, stage) in generation.resolved.stages.enumerated() {
                    guard case .plugin(let plugin) = stage.source, plugin.runs else { continue }
                    let key = RunKey(hook: hook, stage: stage.name, isCandidate: isCandidate)
                    let config = generation.resolved.spec.stages[index].config
                    let number = generation.number
                    wanted.insert(key)
                    if let run = runs[key], run.artifact == stage.artifact, run.config == config {
                        guard run.generation != number else { continue }
                        run.session.notify(
                            action == "rollback" ? .rolledBack(generation: number) : .flipped(generation: number))
                        runs[key]!.generation = number
                    } else {
                        runs.removeValue(forKey: key)?.session.stop()
                        startRun(key, plugin, stage.artifact, config, generation: number)
                    }
                }
            }
        }
        for key in runs.keys where !wanted.contains(key) { runs.removeValue(forKey: key)?.session.stop() }
    }

    /// The live generation, and the one that is tried beside it.
    private func generationsWithTraffic(of hook: HookID) throws -> [(isCandidate: Bool, StoredGeneration)] {
        let live = try directory(hook).live()
        // From the moment on that it is recorded: it gets its share a little later.
        let candidate = try store.canary(of: hook.description)?.candidate
        return try [(false, live), (true, candidate == live ? nil : candidate)].compactMap { isCandidate, number in
            try number.flatMap { try store.generation($0, of: hook.description) }.map { (isCandidate, $0) }
        }
    }

    private func startRun(
        _ key: RunKey, _ plugin: ResolvedPlugin, _ artifact: String, _ config: JSON, generation: Int
    ) {
        guard let version = PluginVersion(plugin.version) else { return }
        let logger = logger
        let session = RunSession(
            plugin: InstalledPlugin(name: plugin.name, version: version, path: artifacts.path(artifact)),
            configuration: config, context: PlanContext(hook: key.hook.description, stage: key.stage),
            generation: generation, runner: plugins.runner,
            log: { logger.info("\($0)", metadata: ["hook": "\(key.hook)", "stage": "\(key.stage)"]) },
            update: { [weak self] map, entries in try await self?.update(key, map: map, entries: entries) })
        runs[key] = LiveRun(session: session, generation: generation, artifact: artifact, config: config)
        Task { await session.supervise() }
    }

    /// Sets entries of a live stage's map for its plugin: checked as any input, applied, recorded.
    private func update(_ key: RunKey, map name: String, entries: [MapEntry]) throws {
        let directory = directory(key.hook)
        let generations = try generationsWithTraffic(of: key.hook)
        guard let live = generations.first(where: { $0.isCandidate == key.isCandidate })?.1,
            let index = live.resolved.stages.firstIndex(where: { $0.name == key.stage })
        else { throw StageError("the stage \"\(key.stage)\" is not live on \(key.hook) any more") }
        let stage = live.resolved.stages[index]
        let path = directory.generation(live.number).map(index + 1, name)
        guard !name.hasPrefix("sluice_"), !name.hasPrefix("."), stage.state[name] == nil, Bpffs.exists(path) else {
            throw StageError("the stage has no configuration map \"\(name)\"", at: "map")
        }
        let map = try BPFMap.pinned(at: path)
        guard !map.type.holdsDescriptors else {
            throw StageError("the map \"\(name)\" is a \(map.type), whose values are descriptors", at: "map")
        }
        for (place, entry) in entries.enumerated()
        where entry.key.raw.count != map.keySize || entry.value.raw.count != map.valueSize {
            throw StageError(
                "a key of \(map.keySize) and a value of \(map.valueSize) bytes are wanted, not \(entry.key.raw.count) and "
                    + "\(entry.value.raw.count)", at: "entries[\(place)]")
        }
        do {
            for entry in entries { try map.update(key: entry.key.raw, value: entry.value.raw) }
        } catch {
            throw StageError("\(error)", at: "entries")
        }
        record(
            "map-update", key.hook.description, outcome: "done",
            by: "stage \(key.stage) (\(stage.title))",
            "\(entries.count) entries of the map \"\(name)\" in generation \(live.number)")
    }

    /// Ends all `run` work; the chains stay.
    public func shutdown() {
        for run in runs.values { run.session.stop() }
        runs = [:]
        stopWatching()
        stopWatchingCanaries()
    }
}

/// Which stage a `run` is for: of the live generation, or of the one that is tried beside it.
struct RunKey: Hashable, Sendable {
    var hook: HookID
    var stage: String
    var isCandidate: Bool
}
