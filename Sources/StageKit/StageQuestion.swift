// SPDX-License-Identifier: Apache-2.0

/// What somebody asks a live stage, as `sluicectl stats HOOK --top WHAT` does with `{"top": WHAT}`. To be answered
/// within five seconds; a second answer is dropped.
public struct StageQuestion: Sendable {
    /// As it was asked: untrusted input, see ``StrictDecoding``.
    public let question: JSON

    private let reply: @Sendable (Result<StageTable, StageError>) -> Void

    init(_ question: JSON, reply: @escaping @Sendable (Result<StageTable, StageError>) -> Void) {
        self.question = question
        self.reply = reply
    }

    /// Answers with what `body` gives, or with why it cannot: a thrown ``StageError``, which names what could be asked.
    public func answer(_ body: () async throws -> StageTable) async {
        do {
            reply(.success(try await body()))
        } catch {
            reply(.failure(StageError(any: error)))
        }
    }
}
