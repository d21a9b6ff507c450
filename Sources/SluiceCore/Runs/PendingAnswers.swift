// SPDX-License-Identifier: Apache-2.0

internal import StageKit
internal import Synchronization

/// Why a plugin gives no answer, where it is not the plugin that says so.
struct Silence: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The questions that a plugin has yet to answer.
final class PendingAnswers: Sendable {
    /// More than these do not wait: anybody who may look may ask.
    static let most = 16

    private struct State {
        var last = 0
        var waiting: [Int: CheckedContinuation<StageTable, any Error>] = [:]
    }

    private let state = Mutex(State())

    /// Asks, and waits for the answer so long.
    /// - Throws: the plugin's `StageError`, or a ``Silence``.
    func wait(_ patience: Duration, ask: (_ id: Int) -> Void) async throws -> StageTable {
        let id = state.withLock { state in
            state.last += 1
            return state.last
        }
        let timer = Task {
            try await Task.sleep(for: patience)
            self.take(id)?.resume(throwing: Silence("the plugin gave no answer within \(patience)"))
        }
        defer { timer.cancel() }
        return try await withCheckedThrowingContinuation { continuation in
            let isTaken = state.withLock { state in
                guard state.waiting.count < Self.most else { return false }
                state.waiting[id] = continuation
                return true
            }
            guard isTaken else {
                return continuation.resume(throwing: Silence("\(Self.most) questions wait for an answer already"))
            }
            ask(id)
        }
    }

    /// What comes too late is dropped.
    func give(_ answer: Result<StageTable, any Error>, to id: Int) {
        take(id)?.resume(with: answer)
    }

    /// There will be no answers any more.
    func fail(_ reason: Silence) {
        let waiting = state.withLock { state in
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in waiting.values { continuation.resume(throwing: reason) }
    }

    private func take(_ id: Int) -> CheckedContinuation<StageTable, any Error>? {
        state.withLock { $0.waiting.removeValue(forKey: id) }
    }
}
