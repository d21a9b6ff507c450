// SPDX-License-Identifier: Apache-2.0

internal import StageKit
internal import VolumetricDoS

/// The work of the live stage: takes samples, answers questions, and does what auto mode wants.
actor Watch: LiveWork {
    private let session: StageSession
    private var traffic: TrafficWatch

    /// Between looks at what came.
    static let interval = Duration.milliseconds(500)

    init(_ auto: AutoConfiguration?, _ session: StageSession) {
        self.session = session
        traffic = TrafficWatch(auto)
    }

    func take(_ records: StageRecords) {
        traffic.take(records.records, lost: records.lost, at: session.time)
    }

    func answer(_ question: JSON) throws -> StageTable {
        try traffic.answer(question, at: session.time)
    }

    func step() async {
        for action in traffic.step(at: session.time) {
            switch action {
            case .log(let line): session.log(line)
            case .change(let change): await make(change)
            }
        }
    }

    private func make(_ change: AutoChange) async {
        do {
            try await session.change(change.request, reason: change.reason)
            traffic.done(change, at: session.time)
        } catch {
            session.log("cannot add the rule, and will try again: \(error) (\(change.reason))")
            traffic.refused(change, at: session.time)
        }
    }
}
