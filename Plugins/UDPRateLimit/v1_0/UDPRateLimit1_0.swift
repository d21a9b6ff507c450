// SPDX-License-Identifier: Apache-2.0

internal import StageKit
internal import UDPRateLimit

@main
struct UDPRateLimit1_0: StagePlugin {
    static let description = StageDescription(
        name: "udp-ratelimit", version: "1.0",
        summary: "Limits datagrams per destination address and prefix, and fairly per source prefix below.",
        hooks: [.socketFilter, .cgroupSkbIngress])

    func plan(_ configuration: Configuration, in context: PlanContext) throws -> StagePlan {
        try configuration.plan(in: context)
    }

    /// Buckets of another number of places start full; rates of another layout are told to the operator.
    func migrate(_ request: MigrationRequest) throws -> Migration {
        ["own_buckets", "buckets"].contains(request.map) ? .drop : .refuse
    }

    func change(_ request: ChangeRequest) throws -> StageChange { try LiveRates.change(request) }

    func inspect(_ request: InspectRequest) throws -> StageTable { try LiveRates.inspect(request) }
}
