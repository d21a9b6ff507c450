// SPDX-License-Identifier: Apache-2.0

internal import StageKit
internal import VolumetricDoS

/// The work of the live stage: takes samples, answers questions, and does what auto mode wants.
actor Watch {
    private let session: StageSession
    private var traffic: TrafficWatch
    private let clock = ContinuousClock()
    private let began: ContinuousClock.Instant

    /// Between looks at what came.
    private static let interval = Duration.milliseconds(500)

    init(_ auto: AutoConfiguration?, _ session: StageSession) {
        self.session = session
        traffic = TrafficWatch(auto)
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
                while (try? await clock.sleep(for: Self.interval)) != nil { await self.step() }
            }
            for await notice in session.notices where notice == .stop { break }
            group.cancelAll()
        }
    }

    private var time: Double { (clock.now - began) / .seconds(1) }

    private func take(_ records: StageRecords) {
        traffic.take(records.records, lost: records.lost, at: time)
    }

    private func answer(_ question: JSON) throws -> StageTable {
        try traffic.answer(question, at: time)
    }

    private func step() async {
        for action in traffic.step(at: time) {
            switch action {
            case .log(let line): session.log(line)
            case .change(let change): await make(change)
            }
        }
    }

    private func make(_ change: AutoChange) async {
        do {
            try await session.change(change.request, reason: change.reason)
            traffic.done(change, at: time)
        } catch {
            session.log("cannot add the rule, and will try again: \(error) (\(change.reason))")
            traffic.refused(change, at: time)
        }
    }
}
