// SPDX-License-Identifier: Apache-2.0

internal import SluiceAPI
internal import StageKit
internal import Foundation
internal import Subprocess
import SystemPackage

struct InstalledPlugin: Sendable { var name: String; var version: String; var path: String }
struct PluginCatalog: Sendable {
    let folders: [String]
    init(_ configuration: ManagerConfiguration) { folders = configuration.plugins }
    func find(_ name: String, version: String?, stage: String) throws -> InstalledPlugin {
        for f in folders {
            let vs = ((try? FileManager.default.contentsOfDirectory(atPath: "\(f)/\(name)")) ?? []).sorted()
            if let v = version ?? vs.last, vs.contains(v) { return InstalledPlugin(name: name, version: v, path: "\(f)/\(name)/\(v)") }
        }
        throw APIErrorBody.notFound("plugin \(name) not installed")
    }
    func plan(_ installed: InstalledPlugin, config: JSON, context: PlanContext, kind: HookKind) async throws -> (StageDescription, StagePlan) {
        let d = try await run(.path(.init("\(installed.path)/\(installed.name)")), arguments: ["describe"], output: .string(limit: 10_000_000))
        let p = try await run(.path(.init("\(installed.path)/\(installed.name)")), arguments: ["plan"], input: .string(config.description), output: .string(limit: 10_000_000), error: .string(limit: 100000))
        guard p.terminationStatus.isSuccess else { throw APIErrorBody.invalidSpec(p.standardError) }
        return (try JSONDecoder().decode(StageDescription.self, from: Data(d.standardOutput.utf8)), try JSONDecoder().decode(StagePlan.self, from: Data(p.standardOutput.utf8)))
    }
    func migrate(_ installed: InstalledPlugin, _ request: MigrationRequest) async throws -> Migration { .refuse }
    func list() async -> [PluginInfo] { [] }
}
let pluginProtocolVersion = 1
extension Manager { func updateRuns() async {} }
