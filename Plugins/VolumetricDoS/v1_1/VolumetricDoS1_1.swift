// SPDX-License-Identifier: Apache-2.0

internal import StageKit
internal import VolumetricDoS

@main
struct VolumetricDoS1_1: StagePlugin {
    static let description = StageDescription(
        name: "volumetric-dos", version: "1.1",
        summary: "Drops volumetric attacks: an allow list, ordered rules, limits by any key; finds attacks and rules.",
        hooks: [.xdp], runs: true)

    func plan(_ configuration: Configuration1_1, in context: PlanContext) throws -> StagePlan {
        try configuration.plan(in: context)
    }

    /// Buckets of another number of places start full, live rules of another layout are told to the operator.
    func migrate(_ request: MigrationRequest) throws -> Migration { request.map == "buckets" ? .drop : .refuse }

    func change(_ request: ChangeRequest) throws -> StageChange { try LiveRules.change(request) }

    func inspect(_ request: InspectRequest) throws -> StageTable { try LiveRules.inspect(request) }

    func run(_ configuration: Configuration1_1, in session: StageSession) async throws {
        await session.serve(Watch(configuration.auto, session), every: Watch.interval)
    }
}
