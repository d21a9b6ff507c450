// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// The work of the live stage: health checks, samples, and questions about them.
public actor LiveRun: LiveWork {
    private let health: HealthWatch
    private let session: StageSession
    private var samples: SampleWatch?

    /// What version 1.0 does: it checks servers.
    public init(_ configuration: Configuration, _ session: StageSession) {
        self.init(configuration, nil, session)
    }

    /// What version 1.1 does.
    public init(_ configuration: Configuration1_1, _ session: StageSession) {
        self.init(configuration.base, SampleWatch(configuration), session)
    }

    private init(_ configuration: Configuration, _ samples: SampleWatch?, _ session: StageSession) {
        self.session = session
        self.samples = samples
        health = HealthWatch(
            configuration, interface: session.context.interface,
            effects: HealthWatch.Effects(
                change: { try await session.change($0, reason: $1) }, log: { session.log($0) }))
    }

    /// Until the manager wants it to end, or the task is cancelled.
    public func run() async {
        await withTaskGroup { group in
            group.addTask { [health] in await health.run() }
            await session.serve(self)
            group.cancelAll()
        }
    }

    public func take(_ records: StageRecords) {
        samples?.take(records.records, lost: records.lost, at: session.time)
    }

    public func answer(_ question: JSON) async throws -> StageTable {
        guard let samples else { return try await health.answer(question) }
        guard let table = try samples.answer(question, at: session.time) else { return await health.table }
        return table
    }
}
