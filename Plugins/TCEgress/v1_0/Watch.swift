// SPDX-License-Identifier: Apache-2.0

internal import StageKit
internal import TCEgress

/// The work of the live stage: takes samples, and answers what they say.
actor Watch: LiveWork {
    private let session: StageSession
    private var samples: SampleWatch

    init(_ configuration: Configuration, _ session: StageSession) {
        self.session = session
        samples = SampleWatch(configuration)
    }

    func take(_ records: StageRecords) { samples.take(records.records, lost: records.lost, at: session.time) }

    func answer(_ question: JSON) throws -> StageTable { try samples.answer(question, at: session.time) }
}
