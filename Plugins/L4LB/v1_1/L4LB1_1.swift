// SPDX-License-Identifier: Apache-2.0

internal import L4LB
internal import StageKit

@main
struct L4LB1_1: StagePlugin {
    static let description = StageDescription(
        name: "l4lb", version: "1.1",
        summary: "Shares connections out among servers, breaks none by a planned change, and shows samples of packets.",
        hooks: [.xdp, .tcEgress], runs: true)

    func plan(_ configuration: Configuration1_1, in context: PlanContext) throws -> StagePlan {
        try context.kind == .tcEgress ? configuration.base.checksPlan() : configuration.plan()
    }

    func change(_ request: ChangeRequest) throws -> StageChange { try LiveStage.change(request) }

    func inspect(_ request: InspectRequest) throws -> StageTable {
        try LiveStage.inspect(request, request.configuration.decode(Configuration1_1.self).base)
    }

    func run(_ configuration: Configuration1_1, in session: StageSession) async throws {
        await LiveRun(configuration, session).run()
    }
}
