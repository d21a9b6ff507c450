// SPDX-License-Identifier: Apache-2.0

internal import CgroupPolicy
internal import StageKit

/// The work of the live stage: tells of denials, and answers questions about them.
actor ReportRun {
    private let session: StageSession
    private var log: DenialLog
    private let clock = ContinuousClock()
    private let began: ContinuousClock.Instant

    init(_ configuration: Configuration, _ session: StageSession) {
        self.session = session
        log = DenialLog(configuration, in: session.context)
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
            group.addTask { [clock] in
                while (try? await clock.sleep(for: .seconds(1))) != nil { await self.tell() }
            }
            for await notice in session.notices where notice == .stop { break }
            group.cancelAll()
        }
        // What came last is told too.
        tell()
    }

    private var time: Double { (clock.now - began) / .seconds(1) }

    private func take(_ records: StageRecords) { log.take(records, at: time) }

    private func answer(_ question: JSON) throws -> StageTable { try log.answer(question, at: time) }

    private func tell() {
        for line in log.lines() { session.report(line) }
    }
}
