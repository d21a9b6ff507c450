// SPDX-License-Identifier: Apache-2.0

internal import StageKit
internal import VolumetricDoS

@main
struct VolumetricDoS1_1: StagePlugin {
    static let description = StageDescription(
        name: "volumetric-dos", version: "1.1",
        summary: "Drops volumetric attacks: an allow list, ordered rules, and packet limits per source and prefix.",
        hooks: [.xdp])

    func plan(_ configuration: Configuration1_1, in context: PlanContext) throws -> StagePlan {
        try configuration.plan()
    }
}
