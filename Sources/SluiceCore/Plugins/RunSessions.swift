// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// The sessions of all live stages that have work to do: what is to run is said as a whole, and this starts, tells
/// and stops what differs.
public actor RunSessions {
    /// One stage of one hook.
    public struct Key: Sendable, Hashable {
        public let hook: String
        public let stage: String

        public init(hook: String, stage: String) {
            self.hook = hook
            self.stage = stage
        }
    }

    /// What a stage runs, and for which generation.
    public struct Wanted: Sendable, Equatable {
        public var plugin: InstalledPlugin
        public var configuration: JSON
        public var generation: Int

        public init(plugin: InstalledPlugin, configuration: JSON, generation: Int) {
            self.plugin = plugin
            self.configuration = configuration
            self.generation = generation
        }
    }

    /// Sets entries of a map of a stage in its live generation.
    public typealias Update = @Sendable (Key, _ map: String, _ entries: [MapEntry]) async throws -> Void

    private let runner: PluginRunner
    private let restarts: RunSession.Backoff
    private let log: @Sendable (Key, String) -> Void
    private let update: Update
    private var running: [Key: (wanted: Wanted, session: RunSession, task: Task<Void, Never>)] = [:]

    public init(
        runner: PluginRunner, restarts: RunSession.Backoff = .init(), log: @escaping @Sendable (Key, String) -> Void,
        update: @escaping Update
    ) {
        self.runner = runner
        self.restarts = restarts
        self.log = log
        self.update = update
    }

    /// Whether anything runs, so that the daemon must stay.
    public var isEmpty: Bool { running.isEmpty }

    /// Makes `wanted` what runs. A stage with the same plugin and configuration keeps its process and is told of the
    /// new generation; any other change is a new process. Returns at once; what is stopped ends by itself.
    public func follow(_ wanted: [Key: Wanted]) {
        for (key, entry) in running {
            guard let new = wanted[key], new.plugin == entry.wanted.plugin,
                new.configuration == entry.wanted.configuration
            else {
                entry.session.stop()
                running[key] = nil
                continue
            }
            let (old, generation) = (entry.wanted.generation, new.generation)
            guard old != generation else { continue }
            entry.session.notify(
                generation > old ? .flipped(generation: generation) : .rolledBack(generation: generation))
            running[key]?.wanted = new
        }
        for (key, new) in wanted where running[key] == nil {
            let session = RunSession(
                plugin: new.plugin, configuration: new.configuration,
                context: PlanContext(hook: key.hook, stage: key.stage), generation: new.generation, runner: runner,
                restarts: restarts, log: { [log] in log(key, $0) },
                update: { [update] in try await update(key, $0, $1) })
            running[key] = (new, session, Task { await session.supervise() })
        }
    }

    /// Stops all and returns when all have ended, at the latest after five seconds.
    public func stop() async {
        let entries = running.values
        running = [:]
        for entry in entries { entry.session.stop() }
        for entry in entries { await entry.task.value }
    }
}
