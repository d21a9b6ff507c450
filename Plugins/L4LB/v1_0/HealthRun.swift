// SPDX-License-Identifier: Apache-2.0

internal import L4LB
internal import StageKit

/// The work of the live stage: health checks, and questions about them.
struct HealthRun {
    private let watch: HealthWatch
    private let session: StageSession

    init(_ configuration: Configuration, _ session: StageSession) {
        self.session = session
        watch = HealthWatch(
            configuration,
            effects: HealthWatch.Effects(
                change: { try await session.change($0, reason: $1) }, log: { session.log($0) }))
    }

    /// Until the manager wants it to end, or the task is cancelled.
    func run() async throws {
        await withTaskGroup { group in
            group.addTask { [watch] in await watch.run() }
            group.addTask { [session, watch] in
                for await question in session.questions {
                    await question.answer { try await watch.answer(question.question) }
                }
            }
            // There are no records, but what is not read must not pile up.
            group.addTask { [session] in for await _ in session.records {} }
            for await notice in session.notices where notice == .stop { break }
            group.cancelAll()
        }
    }
}
