// SPDX-License-Identifier: Apache-2.0

internal import StageKit
internal import TCEgress

@main
struct TCEgress1_0: StagePlugin {
    static let description = StageDescription(
        name: "tc-egress", version: "1.0",
        summary: "Counts, polices, paces and marks what leaves by classes; guards sources; blocks with a reason.",
        hooks: [.tcEgress, .tcIngress], runs: true)

    func plan(_ configuration: Configuration, in context: PlanContext) throws -> StagePlan {
        try configuration.plan(in: context)
    }

    /// Cells of another layout start anew: a burst more, once.
    func migrate(_ request: MigrationRequest) throws -> Migration { .drop }

    func run(_ configuration: Configuration, in session: StageSession) async throws {
        await session.serve(Watch(configuration, session))
    }
}
