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
    /// Of the generation's ring buffer, if the plan names one.
    var reader: RingReader?

    /// Ends the reading of the ring, and then the plugin.
    func stop() {
        reader?.stop()
        session.stop()
    }
}

extension Manager {
    /// Makes the `run` work that goes on that of the live stages: starts, stops, and tells of flips.
    ///
    /// Sessions run the artifact, not the installed plugin: what is live keeps its own code. What they set belongs to
    /// the generation they set it in, so each flip and rollback makes them set it again.
    func updateRuns(after action: String = "start") {
        var wanted: [RunKey: WantedRun] = [:]
        for hook in (try? knownHooks()) ?? [] {
            for (isCandidate, generation) in (try? generationsWithTraffic(of: hook)) ?? [] {
                for (index, stage) in generation.resolved.stages.enumerated() {
                    guard case .plugin(let plugin) = stage.source, plugin.runs else { continue }
                    wanted[RunKey(hook: hook, stage: stage.name, isCandidate: isCandidate)] = WantedRun(
                        plugin: plugin, artifact: stage.artifact, config: generation.resolved.spec.stages[index].config,
                        generation: generation.number,
                        ring: stage.plan.ring.map {
                            (directory(hook).generation(generation.number).map(index + 1, $0), $0)
                        })
                }
            }
        }
        // First those that end: a ring has one reader, and a candidate that is promoted gets another.
        for (key, run) in runs where wanted[key]?.goesOn(with: run) != true {
            run.stop()
            runs[key] = nil
        }
        for (key, want) in wanted {
            guard var run = runs[key] else {
                startRun(key, want)
                continue
            }
            let number = want.generation
            let ring = want.ring.flatMap { try? BPFMap.pinned(at: $0.pin).id }
            // A generation that was built anew has another ring.
            guard run.generation != number || run.reader?.mapID != ring else { continue }
            run.reader?.stop()
            if run.generation != number {
                run.session.notify(
                    action == "rollback" ? .rolledBack(generation: number) : .flipped(generation: number))
            }
            run.generation = number
            run.reader = reader(for: key, want, run.session)
            runs[key] = run
        }
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

    private func startRun(_ key: RunKey, _ want: WantedRun) {
        guard let version = PluginVersion(want.plugin.version) else { return }
        let logger = logger
        let session = RunSession(
            plugin: InstalledPlugin(name: want.plugin.name, version: version, path: artifacts.path(want.artifact)),
            configuration: want.config,
            context: PlanContext(now: key.hook, stage: key.stage),
            generation: want.generation, runner: plugins.runner, netns: key.hook.netns,
            log: { logger.info("\($0)", metadata: ["hook": "\(key.hook)", "stage": "\(key.stage)"]) },
            services: RunSession.Services(
                update: { [weak self] map, entries in try await self?.update(key, map: map, entries: entries) },
                change: { [weak self] in try await self?.change(key, $0, because: $1) ?? [] },
                report: { [weak self] in
                    await self?.record(
                        Store.report, key.hook.description, outcome: "done",
                        by: "stage \(key.stage) (\(want.plugin.name) \(want.plugin.version))", $0)
                }))
        runs[key] = LiveRun(
            session: session, generation: want.generation, artifact: want.artifact, config: want.config,
            reader: reader(for: key, want, session))
        Task { await session.supervise() }
    }

    /// Begins to pass the records of a generation's ring on.
    private func reader(for key: RunKey, _ want: WantedRun, _ session: RunSession) -> RingReader? {
        guard let (pin, ring) = want.ring else { return nil }
        do {
            let generation = want.generation
            return try RingReader(BPFMap.pinned(at: pin)) { session.pass($0, from: ring, of: generation) }
        } catch {
            logger.error(
                "the plugin gets no records: \(error)", metadata: ["hook": "\(key.hook)", "stage": "\(key.stage)"])
            return nil
        }
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
        for run in runs.values { run.stop() }
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

/// What a `run` is to be.
private struct WantedRun {
    var plugin: ResolvedPlugin
    var artifact: String
    var config: JSON
    var generation: Int
    var ring: (pin: String, name: String)?

    func goesOn(with run: LiveRun) -> Bool { run.artifact == artifact && run.config == config }
}
