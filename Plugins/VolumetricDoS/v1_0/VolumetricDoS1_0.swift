// SPDX-License-Identifier: Apache-2.0

internal import StageKit
internal import VolumetricDoS

@main
struct VolumetricDoS1_0: StagePlugin {
    static let description = StageDescription(
        name: "volumetric-dos", version: "1.0",
        summary: "Drops volumetric attacks: an allow list, ordered rules, and a packet limit per source address.",
        hooks: [.xdp])

    func plan(_ configuration: Configuration, in context: PlanContext) throws -> StagePlan {
        try configuration.plan(in: context)
    }

    /// Buckets of another number of places start full, live rules of another layout are told to the operator.
    func migrate(_ request: MigrationRequest) throws -> Migration { request.map == "buckets" ? .drop : .refuse }

    func change(_ request: ChangeRequest) throws -> StageChange { try LiveRules.change(request) }

    func inspect(_ request: InspectRequest) throws -> StageTable { try LiveRules.inspect(request) }
}
