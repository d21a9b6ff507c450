// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import SluiceAPI
internal import StageKit

/// The installed plugins as the manager sees them; every failure is an `APIErrorBody`.
struct PluginCatalog: Sendable {
    private let directories: [PluginDirectory]
    let runner: PluginRunner
    /// How many plugins are asked at a time: each has its own time limit, which it must not spend on waiting for a
    /// processor; and one that hangs until then does not make all others wait.
    static let atOnce = max(4, sysconf(Int32(_SC_NPROCESSORS_ONLN)))

    init(_ configuration: ManagerConfiguration) {
        directories = configuration.plugins.map { PluginDirectory(path: $0) }
        runner = PluginRunner(user: PluginUser.named(configuration.pluginUser))
    }

    /// The plugin of a stage: the version asked for, else the newest of all folders.
    func find(_ name: String, version: String?, stage: String) throws -> InstalledPlugin {
        var failure: PluginError?
        var best: InstalledPlugin?
        for directory in directories {
            do {
                let found = try directory.find(name, version: version)
                if best.map({ $0.version < found.version }) ?? true { best = found }
            } catch {
                // The folder that has the plugin, but not that version, has more to say.
                if failure.map({ !$0.hasVersions }) ?? true { failure = error }
            }
        }
        if let best { return best }
        throw APIErrorBody.of(failure, stage: stage)
    }

    /// Asks `installed` for its plan.
    func plan(
        _ installed: InstalledPlugin, config: JSON, context: PlanContext, kind: HookKind
    ) async throws -> (StageDescription, StagePlan) {
        do {
            return try await runner.plan(installed, configuration: config, context: context, kind: kind)
        } catch {
            throw APIErrorBody.of(error, stage: context.stage)
        }
    }

    func migrate(_ installed: InstalledPlugin, _ request: MigrationRequest) async throws -> Migration {
        do {
            return try await runner.migrate(installed, request)
        } catch {
            throw APIErrorBody(error)
        }
    }

    func change(
        _ installed: InstalledPlugin, _ request: ChangeRequest, live: [String]
    ) async throws -> StageChange {
        do {
            return try await runner.change(installed, request, live: live)
        } catch {
            throw APIErrorBody.of(error, stage: request.context.stage)
        }
    }

    func inspect(_ installed: InstalledPlugin, _ request: InspectRequest) async throws -> StageTable {
        do {
            return try await runner.inspect(installed, request)
        } catch {
            throw APIErrorBody.of(error, stage: request.context.stage)
        }
    }

    /// Every version that is installed, with why it cannot be used if it cannot. Starts each plugin once, a few at a
    /// time.
    func list() async -> [PluginInfo] {
        let listings = directories.map { $0.list() }
        let plugins = listings.flatMap(\.plugins)
        let described = await withTaskGroup(of: (Int, PluginInfo).self) { group in
            var infos = [PluginInfo?](repeating: nil, count: plugins.count)
            for (index, plugin) in plugins.enumerated() {
                if index >= Self.atOnce, let (place, info) = await group.next() { infos[place] = info }
                group.addTask { (index, await describe(plugin)) }
            }
            for await (place, info) in group { infos[place] = info }
            return infos.compactMap(\.self)
        }
        let problems = listings.flatMap(\.problems).map { problem in
            PluginInfo(
                name: problem.name, version: problem.version ?? "", summary: "", hooks: [], path: problem.path,
                usedBy: [], problem: problem.reason)
        }
        return described + problems
    }

    private func describe(_ plugin: InstalledPlugin) async -> PluginInfo {
        var info = PluginInfo(
            name: plugin.name, version: plugin.version.description, summary: "", hooks: [], path: plugin.path,
            usedBy: [], problem: nil)
        do {
            let description = try await runner.describe(plugin)
            info.summary = description.summary
            info.hooks = description.hooks.map(\.rawValue)
        } catch {
            info.problem = error.description
        }
        return info
    }
}

extension APIErrorBody {
    fileprivate static func of(_ error: PluginError?, stage: String) -> APIErrorBody {
        guard let error else { return .notFound("stage \"\(stage)\": no folder of plugins is configured") }
        var body = APIErrorBody(error)
        body.message = "stage \"\(stage)\": \(body.message)"
        return body
    }
}

extension PluginError {
    fileprivate var hasVersions: Bool {
        if case .notInstalled(_, let versions) = reason { !versions.isEmpty } else { true }
    }
}
