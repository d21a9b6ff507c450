// SPDX-License-Identifier: Apache-2.0

internal import CgroupPolicy
internal import StageKit

/// The work of the live stage: tells of denials, and answers questions about them.
actor ReportRun: LiveWork {
    private let session: StageSession
    private var log: DenialLog

    init(_ configuration: Configuration, _ session: StageSession) {
        self.session = session
        log = DenialLog(configuration, in: session.context)
    }

    func take(_ records: StageRecords) { log.take(records, at: session.time) }

    func answer(_ question: JSON) throws -> StageTable { try log.answer(question, at: session.time) }

    func step() {
        for line in log.lines() { session.report(line) }
    }
}
