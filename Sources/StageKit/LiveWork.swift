// SPDX-License-Identifier: Apache-2.0

/// The work of a live stage, one thing after the other: an actor that ``StageSession/serve(_:every:)`` calls.
public protocol LiveWork: Actor {
    /// Takes what comes from the stage's ring buffer. Does nothing unless it is said.
    func take(_ records: StageRecords) async

    /// Answers a question: `sluicectl stats HOOK --stage STAGE --top WHAT` asks `{"top": "WHAT"}`.
    /// - Throws: ``StageError`` for a question that it does not know.
    func answer(_ question: JSON) async throws -> StageTable

    /// Its turn, at the interval that was given, whatever comes. Does nothing unless it is said.
    func step() async
}

extension LiveWork {
    public func take(_ records: StageRecords) {}
    public func step() {}
}

extension StageSession {
    /// Hands records and questions to `work`, until the manager wants the stage to end, the connection ends or the task is
    /// cancelled. Reads all three streams.
    /// - Parameter interval: How long to wait between two turns; nil for none.
    public func serve(_ work: some LiveWork, every interval: Duration? = nil) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await records in records { await work.take(records) }
            }
            group.addTask {
                for await question in questions {
                    await question.answer { try await work.answer(question.question) }
                }
            }
            if let interval {
                group.addTask {
                    while (try? await Task.sleep(for: interval)) != nil { await work.step() }
                }
            }
            for await notice in notices where notice == .stop { break }
            group.cancelAll()
        }
    }
}
