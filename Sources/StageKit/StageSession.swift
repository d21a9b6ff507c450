// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// What the manager tells a live stage. A plugin that gets one of the first three sends its map updates again: they
/// belong to the generation that takes the traffic from now on.
public enum StageNotice: Sendable, Equatable {
    /// The stage is live in this generation; the first notice of every session.
    case live(generation: Int)
    /// An apply or upgrade moved the traffic to this generation.
    case flipped(generation: Int)
    /// A rollback moved the traffic to this generation.
    case rolledBack(generation: Int)
    /// The manager wants `run` to return.
    case stop
}

/// The connection between a live stage's `run` and the manager. Each of its streams is for one reader, and ends when the
/// connection does.
public struct StageSession: Sendable {
    /// Where the stage stands.
    public let context: PlanContext
    /// What the manager says, in order.
    public let notices: AsyncStream<StageNotice>
    /// What comes from the ring buffer of the live generation, in order: a few hundred records at a time, at least four
    /// times a second while there are any. Who does not read in time loses some, which is told.
    public let records: AsyncStream<StageRecords>
    /// What is asked. Who does not read has it refused.
    public let questions: AsyncStream<StageQuestion>

    private let feed: AsyncStream<StageNotice>.Continuation
    private let recordFeed: AsyncStream<StageRecords>.Continuation
    private let questionFeed: AsyncStream<StageQuestion>.Continuation
    /// How many records were dropped here since the last that were not.
    private let dropped = Counter()
    private let pending = Pending()
    private let send: @Sendable (RunMessage) -> Void
    private let began = ContinuousClock.now

    /// - Parameter send: Writes one message; may block.
    init(context: PlanContext, send: @escaping @Sendable (RunMessage) -> Void) {
        self.context = context
        self.send = send
        (notices, feed) = AsyncStream.makeStream()
        // Some megabytes: the plugin's memory is limited.
        (records, recordFeed) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(64))
        (questions, questionFeed) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(16))
    }

    /// Seconds since it began, whatever the wall clock does.
    public var time: Double { (ContinuousClock.now - began) / .seconds(1) }

    /// Sets entries of a map of the live generation, and returns when the manager has done it. Entries that are not
    /// named stay as they are.
    /// - Throws: ``StageError`` when the manager refuses them, `CancellationError` when the connection ends first.
    public func update(map: String, entries: [MapEntry]) async throws {
        _ = try await request { .mapUpdate(id: $0, map: map, entries: entries) }
    }

    /// Changes the stage while it is live, as an operator does with the same request: the manager asks the plugin's own
    /// `change`, in a process of its own, writes what that says, and records it with the reason.
    /// - Parameter reason: Why, for the records: one line.
    /// - Returns: The summary of what was changed.
    /// - Throws: ``StageError`` when it is refused, `CancellationError` when the connection ends first.
    @discardableResult
    public func change(_ request: JSON, reason: String) async throws -> [String] {
        try await self.request { .change(id: $0, request: request, reason: reason) }
    }

    /// Writes one line to the manager's log.
    public func log(_ message: String) {
        send(.log(message))
    }

    /// Adds one line to the events, for operators to read: what the stage did to whom, and why. Of up to 1,000 characters; put
    /// together what is alike, as the manager takes ten a second in the long run and counts what is more.
    public func report(_ message: String) {
        send(.report(message))
    }

    /// Sends a message and waits for its acknowledgement.
    private func request(_ message: (_ id: Int) -> RunMessage) async throws -> [String] {
        try await withCheckedThrowingContinuation { continuation in
            guard let id = pending.add(continuation) else { return }
            send(message(id))
        }
    }

    /// Takes what the manager sent.
    func receive(_ event: RunEvent) {
        switch event {
        case .notice(let notice): feed.yield(notice)
        case .mapUpdated(let id, let error): finish(id, [], error)
        case .changed(let id, let summary, let error): finish(id, summary, error)
        case .records(var records):
            records.lost += dropped.take()
            if case .dropped(let records) = recordFeed.yield(records) {
                dropped.add(records.records.count + records.lost)
            }
        case .ask(let id, let question):
            let question = StageQuestion(question) { [send] in send(.answer(id: id, $0)) }
            if case .dropped = questionFeed.yield(question) {
                send(.answer(id: id, .failure(StageError("too many questions wait for an answer; ask again later"))))
            }
        }
    }

    private func finish(_ id: Int, _ summary: [String], _ error: StageError?) {
        let waiting = pending.take(id)
        if let error { waiting?.resume(throwing: error) } else { waiting?.resume(returning: summary) }
    }

    /// The connection ended.
    func finish() {
        feed.finish()
        recordFeed.finish()
        questionFeed.finish()
        for waiting in pending.close() { waiting.resume(throwing: CancellationError()) }
    }

    private final class Counter: Sendable {
        private let count = Mutex(0)
        func add(_ more: Int) { count.withLock { $0 += more } }
        func take() -> Int {
            count.withLock { count in
                defer { count = 0 }
                return count
            }
        }
    }

    /// The updates and changes that wait for their acknowledgement.
    private final class Pending: Sendable {
        private struct State {
            var last = 0
            var waiting: [Int: CheckedContinuation<[String], any Error>] = [:]
            var closed = false
        }

        private let state = Mutex(State())

        /// The number of a new one; nil, and `continuation` resumed, when the connection has ended.
        func add(_ continuation: CheckedContinuation<[String], any Error>) -> Int? {
            let id: Int? = state.withLock { state in
                guard !state.closed else { return nil }
                state.last += 1
                state.waiting[state.last] = continuation
                return state.last
            }
            if id == nil { continuation.resume(throwing: CancellationError()) }
            return id
        }

        func take(_ id: Int) -> CheckedContinuation<[String], any Error>? {
            state.withLock { $0.waiting.removeValue(forKey: id) }
        }

        func close() -> [CheckedContinuation<[String], any Error>] {
            state.withLock { state in
                state.closed = true
                defer { state.waiting = [:] }
                return Array(state.waiting.values)
            }
        }
    }
}
