// SPDX-License-Identifier: Apache-2.0

internal import StageKit
internal import TCEgress

/// The work of the live stage: takes samples, and answers what they say.
actor Watch {
    private let session: StageSession
    private var samples: SampleWatch
    private let clock = ContinuousClock()
    private let began: ContinuousClock.Instant

    init(_ configuration: Configuration, _ session: StageSession) {
        self.session = session
        samples = SampleWatch(configuration)
        began = clock.now
    }

    /// Until the manager wants it to end, or the task is cancelled.
    func run() async {
        await withTaskGroup { group in
            group.addTask { [session] in
                for await records in session.records { await self.take(records) }
            }
            group.addTask { [session] in
                for await question in session.questions {
                    await question.answer { try await self.answer(question.question) }
                }
            }
            for await notice in session.notices where notice == .stop { break }
            group.cancelAll()
        }
    }

    private var time: Double { (clock.now - began) / .seconds(1) }

    private func take(_ records: StageRecords) { samples.take(records.records, lost: records.lost, at: time) }

    private func answer(_ question: JSON) throws -> StageTable { try samples.answer(question, at: time) }
}
