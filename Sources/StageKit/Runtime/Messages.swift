// SPDX-License-Identifier: Apache-2.0

/// The plugin protocol, see `docs/plugin-protocol.md`.
public enum StageProtocol {
    /// The version that this package speaks; the value of `sluice` in every message.
    public static let version = 1
}

/// One request of the manager.
public struct StageRequest: Codable, Sendable, Equatable {
    public enum Method: String, Codable, Sendable, CaseIterable {
        case describe, plan, migrate, change, inspect, run
    }

    /// The protocol's version.
    public var sluice = StageProtocol.version
    /// Chosen by the manager, repeated in the reply.
    public var id: Int
    public var method: Method
    /// ``PlanParameters`` of `plan` and `run`, ``MigrationRequest`` of `migrate`, ``ChangeRequest`` of `change`,
    /// ``InspectRequest`` of `inspect`, nil of `describe`.
    public var params: JSON?

    public init(id: Int, method: Method, params: JSON? = nil) {
        self.id = id
        self.method = method
        self.params = params
    }
}

/// What `plan` and `run` are about.
public struct PlanParameters: Codable, Sendable, Equatable {
    /// What the operator wrote under `config:`.
    public var configuration: JSON
    public var context: PlanContext

    public init(configuration: JSON, context: PlanContext) {
        self.configuration = configuration
        self.context = context
    }
}

/// The reply to one request: a result or an error, never both.
public struct StageReply: Codable, Sendable, Equatable {
    public var sluice = StageProtocol.version
    /// The request's; 0 for a line that was no request.
    public var id: Int
    public var result: JSON?
    public var error: StageError?

    public init(id: Int, result: JSON) {
        self.id = id
        self.result = result
    }

    public init(id: Int, error: StageError) {
        self.id = id
        self.error = error
    }
}

/// The result of `migrate`.
public struct MigrationReply: Codable, Sendable, Equatable {
    public var migration: Migration

    public init(_ migration: Migration) {
        self.migration = migration
    }
}
