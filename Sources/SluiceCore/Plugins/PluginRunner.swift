// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// Asks plugins, each question a process of its own: unprivileged, limited, killed when it takes too long. Every
/// answer is checked before it is returned.
public struct PluginRunner: Sendable {
    public let limits: PluginLimits
    /// Whom plugins run as; nil for this process's own user.
    public let user: PluginUser?

    public init(limits: PluginLimits = PluginLimits(), user: PluginUser? = PluginUser.standard()) {
        self.limits = limits
        self.user = user
    }

    /// Asks who the plugin is; name and version are those of its folder.
    public func describe(_ plugin: InstalledPlugin) async throws(PluginError) -> StageDescription {
        let lines = try await ask(plugin, [.describe])
        return try description(plugin, lines[0])
    }

    /// Asks for a plan, and in the same process for the description.
    /// - Parameter kind: The kind of hook the stage will stand at; the plugin must support it.
    public func plan(
        _ plugin: InstalledPlugin, configuration: JSON, context: PlanContext, kind: HookKind
    ) async throws(PluginError) -> (description: StageDescription, plan: StagePlan) {
        let parameters = PlanParameters(configuration: configuration, context: context)
        let lines = try await ask(plugin, [.describe, .plan(parameters)])
        let description = try description(plugin, lines[0])
        guard description.hooks.contains(kind) else {
            throw PluginError(plugin: plugin.label, .misfit(hook: kind, hooks: description.hooks))
        }
        let plan: StagePlan = try result(plugin, lines[1], id: 2, of: .plan)
        do {
            try AnswerCheck(plugin: plugin).check(plan)
            try AnswerCheck(plugin: plugin).check(plan, of: description)
            try AnswerCheck(plugin: plugin).check(plan, at: kind)
        } catch {
            throw PluginError.malformed(plugin, .plan, error)
        }
        return (description, plan)
    }

    /// Asks what becomes of a state map whose layout changes.
    public func migrate(
        _ plugin: InstalledPlugin, _ request: MigrationRequest
    ) async throws(PluginError) -> Migration {
        let lines = try await ask(plugin, [.migrate(request)])
        let reply: MigrationReply = try result(plugin, lines[0], id: 1, of: .migrate)
        return reply.migration
    }

    /// Asks how a live stage is to be changed.
    /// - Parameter live: the maps that the answer may set.
    public func change(
        _ plugin: InstalledPlugin, _ request: ChangeRequest, live: [String]
    ) async throws(PluginError) -> StageChange {
        let lines = try await ask(plugin, [.change(request)])
        let change: StageChange = try result(plugin, lines[0], id: 1, of: .change)
        do {
            try AnswerCheck(plugin: plugin).check(change, live: live)
        } catch {
            throw PluginError.malformed(plugin, .change, error)
        }
        return change
    }

    /// Asks for something to show of a live stage.
    public func inspect(
        _ plugin: InstalledPlugin, _ request: InspectRequest
    ) async throws(PluginError) -> StageTable {
        let lines = try await ask(plugin, [.inspect(request)])
        let table: StageTable = try result(plugin, lines[0], id: 1, of: .inspect)
        do {
            try AnswerCheck(plugin: plugin).check(table)
        } catch {
            throw PluginError.malformed(plugin, .inspect, error)
        }
        return table
    }

    /// Ends what plugins left behind; only where their user is theirs alone.
    /// - Returns: How many processes it killed.
    @discardableResult
    public func sweep() -> Int {
        PluginSweep.run(user: user)
    }

    /// What is asked in one start, numbered from 1.
    private enum Question {
        case describe
        case plan(PlanParameters)
        case migrate(MigrationRequest)
        case change(ChangeRequest)
        case inspect(InspectRequest)

        func request(id: Int) throws -> StageRequest {
            switch self {
            case .describe: StageRequest(id: id, method: .describe)
            case .plan(let parameters): StageRequest(id: id, method: .plan, params: try JSON(encoding: parameters))
            case .migrate(let request): StageRequest(id: id, method: .migrate, params: try JSON(encoding: request))
            case .change(let request): StageRequest(id: id, method: .change, params: try JSON(encoding: request))
            case .inspect(let request): StageRequest(id: id, method: .inspect, params: try JSON(encoding: request))
            }
        }
    }

    private func ask(_ plugin: InstalledPlugin, _ questions: [Question]) async throws(PluginError) -> [[UInt8]] {
        let requests: [StageRequest]
        do {
            requests = try questions.enumerated().map { try $1.request(id: $0 + 1) }
        } catch {
            // Only a number that JSON has no form for.
            throw PluginError(plugin: plugin.label, .refused(request: "plan", StageError("\(error)")))
        }
        let launcher = PluginLauncher(limits: limits, user: user)
        return try await PluginConversation(launcher: launcher, plugin: plugin).ask(requests)
    }

    private func description(_ plugin: InstalledPlugin, _ line: [UInt8]) throws(PluginError) -> StageDescription {
        let description: StageDescription = try result(plugin, line, id: 1, of: .describe)
        do {
            try AnswerCheck(plugin: plugin).check(description)
        } catch {
            throw PluginError.malformed(plugin, .describe, error)
        }
        return description
    }

    private func result<Result: Decodable>(
        _ plugin: InstalledPlugin, _ line: [UInt8], id: Int, of method: StageRequest.Method
    ) throws(PluginError) -> Result {
        let reply = try PluginReply.parse(line, from: plugin, method)
        do {
            guard reply.id == id else { throw StageError("\(reply.id), but the request was \(id)", at: "id") }
            switch (reply.result, reply.error) {
            case (let result?, nil):
                do {
                    return try result.decode(Result.self)
                } catch {
                    throw StageError(error.message, at: error.path.isEmpty ? "result" : "result.\(error.path)")
                }
            case (nil, let error?):
                let cleaned = StageError(
                    PluginText.cleaned(error.message, limit: 2000), at: PluginText.cleaned(error.path, limit: 200))
                throw PluginError(plugin: plugin.label, .refused(request: method.rawValue, cleaned))
            default:
                throw StageError("either \"result\" or \"error\" is needed")
            }
        } catch {
            throw PluginError.reading(plugin, method, error)
        }
    }
}

/// The envelope of an answer.
enum PluginReply {
    static func parse(
        _ line: [UInt8], from plugin: InstalledPlugin, _ method: StageRequest.Method
    ) throws(PluginError) -> StageReply {
        do {
            let json = try JSON(parsing: line)
            if let version = json["sluice"], version != .integer(Int64(StageProtocol.version)) {
                let theirs = PluginText.cleaned("\(version)", limit: 40)
                throw PluginError(plugin: plugin.label, .protocolVersion(theirs: theirs))
            }
            return try json.decode(StageReply.self)
        } catch {
            throw PluginError.reading(plugin, method, error)
        }
    }
}

extension PluginError {
    /// What failed while an answer was read: a `PluginError` as it is, all else as a fault of the answer.
    fileprivate static func reading(
        _ plugin: InstalledPlugin, _ method: StageRequest.Method, _ error: any Error
    ) -> PluginError {
        error as? PluginError ?? malformed(plugin, method, error as? StageError ?? StageError("\(error)"))
    }

    static func malformed(
        _ plugin: InstalledPlugin, _ method: StageRequest.Method, _ error: StageError
    ) -> PluginError {
        let path = PluginText.cleaned(error.path, limit: 200)
        let reason = PluginText.cleaned(error.message, limit: 500)
        return PluginError(
            plugin: plugin.label, .malformed(request: method.rawValue, path: path, reason: reason))
    }
}
