// SPDX-License-Identifier: Apache-2.0

internal import SluiceAPI
internal import StageKit

struct InstalledPlugin: Sendable { var name: String; var version: String; var path: String }
struct PluginCatalog: Sendable {
    init(_ configuration: ManagerConfiguration) {}
    func find(_ name: String, version: String?, stage: String) throws -> InstalledPlugin { throw APIErrorBody.notFound("x") }
    func plan(_ installed: InstalledPlugin, config: JSON, context: PlanContext, kind: HookKind) async throws -> (StageDescription, StagePlan) { throw APIErrorBody.notFound("x") }
    func migrate(_ installed: InstalledPlugin, _ request: MigrationRequest) async throws -> Migration { .refuse }
    func list() async -> [PluginInfo] { [] }
}
let pluginProtocolVersion = 1
extension Manager { func updateRuns() async {} }
