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

/// The connection between a live stage's `run` and the manager.
public struct StageSession: Sendable {
    /// Where the stage stands.
    public let context: PlanContext
    /// What the manager says, in order; ends when the connection does. For one reader.
    public let notices: AsyncStream<StageNotice>

    private let feed: AsyncStream<StageNotice>.Continuation
    private let pending = Pending()
    private let send: @Sendable (RunMessage) -> Void

    /// - Parameter send: Writes one message; may block.
    init(context: PlanContext, send: @escaping @Sendable (RunMessage) -> Void) {
        self.context = context
        self.send = send
        (notices, feed) = AsyncStream.makeStream()
    }

    /// Sets entries of a map of the live generation, and returns when the manager has done it. Entries that are not
    /// named stay as they are.
    /// - Throws: ``StageError`` when the manager refuses them, `CancellationError` when the connection ends first.
    public func update(map: String, entries: [MapEntry]) async throws {
        try await withCheckedThrowingContinuation { continuation in
            guard let id = pending.add(continuation) else { return }
            send(.mapUpdate(id: id, map: map, entries: entries))
        }
    }

    /// Writes one line to the manager's log.
    public func log(_ message: String) {
        send(.log(message))
    }

    /// Takes what the manager sent.
    func receive(_ event: RunEvent) {
        switch event {
        case .notice(let notice): feed.yield(notice)
        case .mapUpdated(let id, let error):
            let waiting = pending.take(id)
            if let error { waiting?.resume(throwing: error) } else { waiting?.resume() }
        }
    }

    /// The connection ended.
    func finish() {
        feed.finish()
        for waiting in pending.close() { waiting.resume(throwing: CancellationError()) }
    }

    /// The updates that wait for their acknowledgement.
    private final class Pending: Sendable {
        private struct State {
            var last = 0
            var waiting: [Int: CheckedContinuation<Void, any Error>] = [:]
            var closed = false
        }

        private let state = Mutex(State())

        /// The number of a new update; nil, and `continuation` resumed, when the connection has ended.
        func add(_ continuation: CheckedContinuation<Void, any Error>) -> Int? {
            let id: Int? = state.withLock { state in
                guard !state.closed else { return nil }
                state.last += 1
                state.waiting[state.last] = continuation
                return state.last
            }
            if id == nil { continuation.resume(throwing: CancellationError()) }
            return id
        }

        func take(_ id: Int) -> CheckedContinuation<Void, any Error>? {
            state.withLock { $0.waiting.removeValue(forKey: id) }
        }

        func close() -> [CheckedContinuation<Void, any Error>] {
            state.withLock { state in
                state.closed = true
                defer { state.waiting = [:] }
                return Array(state.waiting.values)
            }
        }
    }
}
