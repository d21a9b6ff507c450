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
        try configuration.plan()
    }
}
