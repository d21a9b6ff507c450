// SPDX-License-Identifier: Apache-2.0

internal import L4LB
internal import StageKit

@main
struct L4LB1_0: StagePlugin {
    static let description = StageDescription(
        name: "l4lb", version: "1.0",
        summary: "Shares connections out among servers, keeps none in mind and breaks none by a planned change.",
        hooks: [.xdp, .tcEgress], runs: true)

    func plan(_ configuration: Configuration, in context: PlanContext) throws -> StagePlan {
        try context.kind == .tcEgress ? configuration.checksPlan() : configuration.plan()
    }

    func change(_ request: ChangeRequest) throws -> StageChange { try LiveStage.change(request) }

    func inspect(_ request: InspectRequest) throws -> StageTable {
        try LiveStage.inspect(request, request.configuration.decode(Configuration.self))
    }

    func run(_ configuration: Configuration, in session: StageSession) async throws {
        await LiveRun(configuration, session).run()
    }
}
