// SPDX-License-Identifier: Apache-2.0

public import StageKit
internal import Subprocess
internal import Synchronization

/// Keeps the `run` of one live stage going: starts it, passes notices, records and questions on, does what it asks for,
/// and starts it again when it ends.
///
/// `supervise()` is the session's life; all else may be called from anywhere meanwhile. What waits for a plugin is
/// bounded, whatever that reads and sends, see `RunFeed`.
public final class RunSession: Sendable {
    /// What a plugin may ask for; a thrown `StageError` goes back to it.
    public struct Services: Sendable {
        /// Sets entries of a map of the live generation.
        public var update: @Sendable (_ map: String, _ entries: [MapEntry]) async throws -> Void
        /// Changes the live stage as an operator may; returns the summary.
        public var change: @Sendable (_ request: JSON, _ reason: String) async throws -> [String]
        /// Adds a line to the events.
        public var report: @Sendable (_ message: String) async -> Void

        public init(
            update: @escaping @Sendable (_ map: String, _ entries: [MapEntry]) async throws -> Void,
            change: @escaping @Sendable (_ request: JSON, _ reason: String) async throws -> [String],
            report: @escaping @Sendable (_ message: String) async -> Void = { _ in }
        ) {
            self.update = update
            self.change = change
            self.report = report
        }
    }

    private let plugin: InstalledPlugin
    private let parameters: PlanParameters
    private let launcher: PluginLauncher
    private let netns: String?
    private let restarts: Backoff
    private let services: Services
    private let patience: Duration
    private let log: @Sendable (String) -> Void
    private let answers = PendingAnswers()
    private let state: Mutex<State>

    private struct State {
        /// What a restarted plugin is told first.
        var generation: Int
        var stopping = false
        /// For the process that is up, or the first one to come.
        var feed: RunFeed?
        /// Records that came while there was none.
        var lost = 0
        /// Ends the pause before a restart.
        var pause: Task<Void, any Error>?
        /// Of all processes: one that is started again has not more.
        var reports = ReportAllowance()
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
    ///   - netns: The network namespace that its processes are in; nil for this process's own.
    ///   - patience: How long an answer may take.
    ///   - log: Gets a line for each message of the plugin and each restart.
    public init(
        plugin: InstalledPlugin, configuration: JSON, context: PlanContext, generation: Int, runner: PluginRunner,
        netns: String? = nil, restarts: Backoff = Backoff(), patience: Duration = .seconds(5),
        log: @escaping @Sendable (String) -> Void,
        services: Services
    ) {
        self.plugin = plugin
        parameters = PlanParameters(configuration: configuration, context: context)
        launcher = PluginLauncher(limits: runner.limits, user: runner.user)
        self.netns = netns
        self.restarts = restarts
        self.log = log
        self.patience = patience
        self.services = services
        state = Mutex(State(generation: generation, feed: RunFeed(generation: generation, lost: 0)))
    }

    /// Tells the plugin that another generation took over, and which is live should it be started again.
    public func notify(_ notice: StageNotice) {
        state.withLock { state in
            switch notice {
            case .live(let generation), .flipped(let generation), .rolledBack(let generation):
                state.generation = generation
            case .stop: state.stopping = true
            }
            state.feed?.put(.notice(notice))
            if state.stopping { state.pause?.cancel() }
        }
    }

    /// Asks the plugin to end; `supervise()` returns when it has, at the latest after five seconds.
    public func stop() { notify(.stop) }

    /// Passes on what came from a ring buffer; thrown away, and counted, while the plugin is behind or not up.
    func pass(_ record: UnsafeRawBufferPointer, from ring: String, of generation: Int) {
        state.withLock { state in
            if let feed = state.feed { feed.put(record, from: ring, of: generation) } else { state.lost += 1 }
        }
    }

    /// Asks the plugin, and waits for its answer, which is checked.
    /// - Throws: `StageError`: the plugin's own, or why there is no answer.
    func ask(_ question: JSON) async throws -> StageTable {
        guard let feed = state.withLock({ $0.stopping ? nil : $0.feed }) else {
            throw Silence("the plugin is not running at the moment; it is started again, see the daemon's log")
        }
        return try await answers.wait(patience) { feed.put(.ask(id: $0, question: question)) }
    }

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
        let feed = state.withLock { state in
            let feed = state.feed ?? RunFeed(generation: state.generation, lost: state.lost)
            (state.feed, state.lost) = (feed, 0)
            if state.stopping { feed.put(.notice(.stop)) }
            return feed
        }
        defer {
            state.withLock { state in
                state.feed = nil
                state.lost += feed.finish()
            }
            answers.fail(Silence("the plugin ended before it had answered; it is started again, see the daemon's log"))
        }
        do {
            let result = try await Subprocess.run(
                launcher.configuration(of: plugin, isRun: true, netns: netns), input: .inputWriter, output: .sequence,
                error: .sequence
            ) { execution in
                await converse(execution, feed: feed)
            }
            return "\(result.closureResult ?? "it ended: \(result.terminationStatus)")"
        } catch {
            return "cannot start \(plugin.executable): \(error)"
        }
    }

    private typealias RunExecution = Execution<CustomWriteInput, SequenceOutput, SequenceOutput>

    /// A change that the plugin asks for.
    private struct Wish: Sendable {
        var id: Int
        var request: JSON
        var reason: String
    }

    /// - Returns: How the conversation ended; nil when the process just did.
    private func converse(_ execution: RunExecution, feed: RunFeed) async -> String? {
        // A change may wait for its turn behind another hook's apply: questions are answered meanwhile.
        let (wishes, wish) = AsyncStream.makeStream(of: Wish.self, bufferingPolicy: .bufferingOldest(16))
        return await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.send(feed, to: execution) }
            group.addTask { await self.forward(execution.standardError) }
            group.addTask { for await wish in wishes { await self.grant(wish, feed: feed) } }
            group.addTask { await self.end(execution, feed: feed) }
            let end: String?
            do {
                end = try await receive(execution.standardOutput, feed: feed, wish: wish)
            } catch {
                end = "it was killed: \(error)"
            }
            // Before it is reaped, so that the group cannot be another's.
            try? execution.send(signal: .kill, toProcessGroup: true)
            group.cancelAll()
            return end
        }
    }

    /// Writes the request, then all that there is to be told.
    private func send(_ feed: RunFeed, to execution: RunExecution) async {
        let writer = execution.standardInputWriter
        do {
            let request = StageRequest(id: 1, method: .run, params: try JSON(encoding: parameters))
            _ = try await writer.write(try JSON(encoding: request).serialized() + [0x0a])
            for await _ in feed.bell {
                while let event = feed.take() {
                    _ = try await writer.write(try JSON(encoding: event).serialized() + [0x0a])
                }
            }
        } catch {
            // The process has gone, or is to go: the reader sees the end.
        }
    }

    /// Kills a process that has to go: after `stop` it has five seconds, whether it reads or not.
    private func end(_ execution: RunExecution, feed: RunFeed) async {
        for await end in feed.ends {
            switch end {
            case .stop: guard (try? await Task.sleep(for: .seconds(5))) != nil else { return }
            case .overrun: log("it does not read what it is told, and is killed")
            }
            try? execution.send(signal: .kill, toProcessGroup: true)
        }
    }

    /// Reads messages and applies updates, one after the other, so that a plugin waits for the manager.
    /// - Returns: How `run` ended by its own account.
    private func receive(
        _ output: SubprocessOutputSequence, feed: RunFeed, wish: AsyncStream<Wish>.Continuation
    ) async throws -> String? {
        var splitter = LineSplitter(longest: launcher.limits.runLine)
        for try await chunk in output {
            chunk.withUnsafeBytes { splitter.append($0) }
            while let line = splitter.next() {
                let json = try JSON(parsing: line)
                guard json["event"] != nil else { return try Self.end(json) }
                switch try json.decode(RunMessage.self) {
                case .log(let message): log(PluginText.cleaned(message, limit: 1000))
                case .report(let message): await report(message)
                case .mapUpdate(let id, let map, let entries):
                    let error = await apply(map, entries)
                    // Told to the operator as well: a plugin may not care.
                    if let error { log(PluginText.cleaned("its map update \(id) was refused: \(error)", limit: 1000)) }
                    feed.put(.mapUpdated(id: id, error: error))
                case .answer(let id, let answer): answers.give(checked(answer), to: id)
                case .change(let id, let request, let reason):
                    if case .dropped = wish.yield(Wish(id: id, request: request, reason: reason)) {
                        feed.put(.changed(id: id, summary: [], error: StageError("too many changes wait already")))
                    }
                }
            }
            guard !splitter.isTooLong else { throw StageError("a line is longer than \(splitter.longest) bytes") }
        }
        return nil
    }

    /// Adds a line to the events, unless there are too many.
    private func report(_ message: String) async {
        guard let leftOut = state.withLock({ $0.reports.take(at: .now) }) else { return }
        if leftOut > 0 {
            await services.report("\(leftOut) reports were left out, as there were too many")
        }
        await services.report(PluginText.line(message, limit: 1000))
    }

    /// - Returns: What the plugin is told when the update is refused.
    private func apply(_ map: String, _ entries: [MapEntry]) async -> StageError? {
        do {
            guard PluginName.isIdentifier(map) else { throw StageError("not a C name", at: "map") }
            try AnswerCheck.entries(entries, at: "entries")
            try await services.update(map, entries)
            return nil
        } catch {
            return error as? StageError ?? StageError("\(error)")
        }
    }

    /// Does what the plugin asks for, or tells why not.
    private func grant(_ wish: Wish, feed: RunFeed) async {
        do {
            try AnswerCheck(plugin: plugin).check(reason: wish.reason)
            let summary = try await services.change(wish.request, wish.reason)
            feed.put(.changed(id: wish.id, summary: summary, error: nil))
        } catch {
            log(PluginText.cleaned("its change \(wish.id) was refused: \(error)", limit: 1000))
            feed.put(
                .changed(id: wish.id, summary: [], error: error as? StageError ?? StageError("\(error)")))
        }
    }

    private func checked(_ answer: Result<StageTable, StageError>) -> Result<StageTable, any Error> {
        switch answer {
        case .success(let table):
            Result { () throws -> StageTable in
                do { try AnswerCheck(plugin: plugin).check(table) } catch {
                    throw Silence("the plugin's answer is malformed: \(error)")
                }
                return table
            }
        case .failure(let error):
            .failure(
                StageError(
                    PluginText.cleaned(error.message, limit: 2000), at: PluginText.cleaned(error.path, limit: 200)))
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
