// SPDX-License-Identifier: Apache-2.0

internal import CgroupPolicy
internal import StageKit

@main
struct CgroupPolicy1_0: StagePlugin {
    static let description = StageDescription(
        name: "cgroup-policy", version: "1.0",
        summary:
            "Says what a service may connect to, send to and bind; rewrites addresses, filters and counts packets.",
        hooks: Part.hooks, runs: true)

    func plan(_ configuration: Configuration, in context: PlanContext) throws -> StagePlan {
        try configuration.plan(in: context)
    }

    func inspect(_ request: InspectRequest) throws -> StageTable { try LiveStage.inspect(request) }

    func run(_ configuration: Configuration, in session: StageSession) async throws {
        let run = ReportRun(configuration, session)
        await session.serve(run, every: .seconds(1))
        // What came last is told too.
        await run.step()
    }
}
