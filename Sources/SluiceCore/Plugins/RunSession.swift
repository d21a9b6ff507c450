// SPDX-License-Identifier: Apache-2.0

public import StageKit
internal import Subprocess
internal import Synchronization

/// Keeps the `run` of one live stage going: starts it, passes notices on, applies its map updates, and starts it
/// again when it ends.
///
/// `supervise()` is the session's life; ``notify(_:)`` and ``stop()`` may be called from anywhere meanwhile.
public final class RunSession: Sendable {
    /// Sets entries of a map of the live generation; a thrown `StageError` goes back to the plugin.
    public typealias Update = @Sendable (_ map: String, _ entries: [MapEntry]) async throws -> Void

    private let plugin: InstalledPlugin
    private let parameters: PlanParameters
    private let launcher: PluginLauncher
    private let restarts: Backoff
    private let update: Update
    private let log: @Sendable (String) -> Void
    private let state: Mutex<State>

    private struct State {
        /// What a restarted plugin is told first.
        var generation: Int
        var stopping = false
        /// The events for the process that is up.
        var events: AsyncStream<RunEvent>.Continuation?
        /// Ends the pause before a restart.
        var pause: Task<Void, any Error>?
    }

    /// How long to wait before the next start: doubled each time, short again after a good while.
    public struct Backoff: Sendable {
        public var first: Duration
        public var longest: Duration
        /// A process that lived this long was well.
        public var forgive: Duration

        public init(first: Duration = .seconds(1), longest: Duration = .seconds(60), forgive: Duration = .seconds(120))
        {
            self.first = first
            self.longest = longest
            self.forgive = forgive
        }
    }

    /// - Parameters:
    ///   - generation: The live generation.
    ///   - log: Gets a line for each message of the plugin and each restart.
    public init(
        plugin: InstalledPlugin, configuration: JSON, context: PlanContext, generation: Int, runner: PluginRunner,
        restarts: Backoff = Backoff(), log: @escaping @Sendable (String) -> Void, update: @escaping Update
    ) {
        self.plugin = plugin
        parameters = PlanParameters(configuration: configuration, context: context)
        launcher = PluginLauncher(limits: runner.limits, user: runner.user)
        self.restarts = restarts
        self.log = log
        self.update = update
        state = Mutex(State(generation: generation))
    }

    /// Tells the plugin that another generation took over, and which is live should it be started again.
    public func notify(_ notice: StageNotice) {
        state.withLock { state in
            switch notice {
            case .live(let generation), .flipped(let generation), .rolledBack(let generation):
                state.generation = generation
            case .stop: state.stopping = true
            }
            state.events?.yield(.notice(notice))
            if state.stopping { state.pause?.cancel() }
        }
    }

    /// Asks the plugin to end; `supervise()` returns when it has, at the latest after five seconds.
    public func stop() { notify(.stop) }

    /// Runs the plugin, again and again, until ``stop()`` or the task's cancellation.
    public func supervise() async {
        _ = PluginLauncher.ignoreBrokenPipes
        var wait = restarts.first
        let clock = ContinuousClock()
        while !isOver {
            let start = clock.now
            let end = await once()
            PluginSweep.run(user: launcher.user)
            guard !isOver else { break }
            if clock.now - start >= restarts.forgive { wait = restarts.first }
            log("\(end); starting it again in \(wait)")
            await pause(wait)
            wait = min(wait * 2, restarts.longest)
        }
    }

    private var isOver: Bool { Task.isCancelled || state.withLock { $0.stopping } }

    private func pause(_ duration: Duration) async {
        let sleep = Task { try await Task.sleep(for: duration) }
        let stopping = state.withLock { state in
            state.pause = sleep
            return state.stopping
        }
        if stopping { sleep.cancel() }
        await withTaskCancellationHandler {
            _ = try? await sleep.value
        } onCancel: {
            sleep.cancel()
        }
    }

    /// One process, from start to end.
    /// - Returns: How it ended, for the log.
    private func once() async -> String {
        let (events, feed) = AsyncStream<RunEvent>.makeStream()
        state.withLock { state in
            state.events = feed
            feed.yield(.notice(.live(generation: state.generation)))
            if state.stopping { feed.yield(.notice(.stop)) }
        }
        defer {
            state.withLock { $0.events = nil }
            feed.finish()
        }
        do {
            let result = try await Subprocess.run(
                launcher.configuration(of: plugin, isRun: true), input: .inputWriter, output: .sequence,
                error: .sequence
            ) { execution in
                await converse(execution, events: events, feed: feed)
            }
            return "\(result.closureResult ?? "it ended: \(result.terminationStatus)")"
        } catch {
            return "cannot start \(plugin.executable): \(error)"
        }
    }

    private typealias RunExecution = Execution<CustomWriteInput, SequenceOutput, SequenceOutput>

    /// - Returns: How the conversation ended; nil when the process just did.
    private func converse(
        _ execution: RunExecution, events: AsyncStream<RunEvent>, feed: AsyncStream<RunEvent>.Continuation
    ) async -> String? {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.send(events, to: execution) }
            group.addTask { await self.forward(execution.standardError) }
            let end: String?
            do {
                end = try await receive(execution.standardOutput, feed: feed)
            } catch {
                end = "it was killed: \(error)"
            }
            // Before it is reaped, so that the group cannot be another's.
            try? execution.send(signal: .kill, toProcessGroup: true)
            group.cancelAll()
            return end
        }
    }

    /// Writes the request, then every event; after `stop` the plugin has five seconds.
    private func send(_ events: AsyncStream<RunEvent>, to execution: RunExecution) async {
        let writer = execution.standardInputWriter
        do {
            let request = StageRequest(id: 1, method: .run, params: try JSON(encoding: parameters))
            _ = try await writer.write(try JSON(encoding: request).serialized() + [0x0a])
            for await event in events {
                _ = try await writer.write(try JSON(encoding: event).serialized() + [0x0a])
                guard event == .notice(.stop) else { continue }
                try await Task.sleep(for: .seconds(5))
                try execution.send(signal: .kill, toProcessGroup: true)
            }
        } catch {
            // The process has gone, or is to go: the reader sees the end.
        }
    }

    /// Reads messages and applies updates, one after the other, so that a plugin waits for the manager.
    /// - Returns: How `run` ended by its own account.
    private func receive(
        _ output: SubprocessOutputSequence, feed: AsyncStream<RunEvent>.Continuation
    ) async throws -> String? {
        var splitter = LineSplitter(longest: launcher.limits.runLine)
        for try await chunk in output {
            chunk.withUnsafeBytes { splitter.append($0) }
            while let line = splitter.next() {
                let json = try JSON(parsing: line)
                guard json["event"] != nil else { return try Self.end(json) }
                switch try json.decode(RunMessage.self) {
                case .log(let message): log(PluginText.cleaned(message, limit: 1000))
                case .mapUpdate(let id, let map, let entries):
                    let error = await apply(map, entries)
                    // Told to the operator as well: a plugin may not care.
                    if let error { log(PluginText.cleaned("its map update \(id) was refused: \(error)", limit: 1000)) }
                    feed.yield(.mapUpdated(id: id, error: error))
                }
            }
            guard !splitter.isTooLong else { throw StageError("a line is longer than \(splitter.longest) bytes") }
        }
        return nil
    }

    /// - Returns: What the plugin is told when the update is refused.
    private func apply(_ map: String, _ entries: [MapEntry]) async -> StageError? {
        do {
            guard PluginName.isIdentifier(map) else { throw StageError("not a C name", at: "map") }
            try AnswerCheck.entries(entries, at: "entries")
            try await update(map, entries)
            return nil
        } catch let error as StageError {
            return error
        } catch {
            return StageError("\(error)")
        }
    }

    private static func end(_ json: JSON) throws -> String {
        let reply = try json.decode(StageReply.self)
        guard let error = reply.error else { return "it ended its run" }
        return "it ended its run: " + PluginText.cleaned("\(error)", limit: 1000)
    }

    /// Passes standard error to the log, a line each.
    private func forward(_ stream: SubprocessOutputSequence) async {
        var splitter = LineSplitter(longest: launcher.limits.standardError)
        do {
            for try await chunk in stream {
                chunk.withUnsafeBytes { splitter.append($0) }
                while let line = splitter.next() {
                    log(PluginText.cleaned(String(decoding: line, as: UTF8.self), limit: 1000))
                }
                if splitter.isTooLong { splitter = LineSplitter(longest: splitter.longest) }
            }
        } catch {
            // The pipe broke: nothing more to say.
        }
    }
}
