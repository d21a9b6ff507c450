// SPDX-License-Identifier: Apache-2.0

/// The plugin protocol, see `docs/plugin-protocol.md`.
public enum StageProtocol {
    /// The version that this package speaks; the value of `sluice` in every message.
    public static let version = 1
}

/// One request of the manager.
public struct StageRequest: Codable, Sendable, Equatable {
    public enum Method: String, Codable, Sendable, CaseIterable {
        case describe, plan, migrate, run
    }

    /// The protocol's version.
    public var sluice = StageProtocol.version
    /// Chosen by the manager, repeated in the reply.
    public var id: Int
    public var method: Method
    /// ``PlanParameters`` of `plan` and `run`, ``MigrationRequest`` of `migrate`, nil of `describe`.
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

/// What the manager tells a plugin while its `run` is under way.
public enum RunEvent: Sendable, Equatable {
    case notice(StageNotice)
    /// The map update `id` was applied, or refused for `error`.
    case mapUpdated(id: Int, error: StageError?)
}

/// What a plugin tells the manager while its `run` is under way.
public enum RunMessage: Sendable, Equatable {
    /// Set these entries of a map; `id` is the plugin's and returns in the acknowledgement.
    case mapUpdate(id: Int, map: String, entries: [MapEntry])
    /// A line for the manager's log.
    case log(String)
}

extension RunEvent: Codable {
    private enum Name: String, Codable, CaseIterable {
        case live, flipped, stop
        case rolledBack = "rolled-back"
        case mapUpdated = "map-updated"
    }

    private enum CodingKeys: CodingKey { case sluice, event, generation, id, error }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        _ = try container.decode(Int.self, forKey: .sluice)
        switch try container.decode(Name.self, forKey: .event) {
        case .live: self = .notice(.live(generation: try container.decode(Int.self, forKey: .generation)))
        case .flipped: self = .notice(.flipped(generation: try container.decode(Int.self, forKey: .generation)))
        case .rolledBack: self = .notice(.rolledBack(generation: try container.decode(Int.self, forKey: .generation)))
        case .stop: self = .notice(.stop)
        case .mapUpdated:
            self = .mapUpdated(
                id: try container.decode(Int.self, forKey: .id),
                error: try container.decodeIfPresent(StageError.self, forKey: .error))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(StageProtocol.version, forKey: .sluice)
        switch self {
        case .notice(let notice):
            let (name, generation): (Name, Int?) =
                switch notice {
                case .live(let generation): (.live, generation)
                case .flipped(let generation): (.flipped, generation)
                case .rolledBack(let generation): (.rolledBack, generation)
                case .stop: (.stop, nil)
                }
            try container.encode(name, forKey: .event)
            try container.encodeIfPresent(generation, forKey: .generation)
        case .mapUpdated(let id, let error):
            try container.encode(Name.mapUpdated, forKey: .event)
            try container.encode(id, forKey: .id)
            try container.encodeIfPresent(error, forKey: .error)
        }
    }
}

extension RunMessage: Codable {
    private enum Name: String, Codable, CaseIterable {
        case log
        case mapUpdate = "map-update"
    }

    private enum CodingKeys: CodingKey { case sluice, event, id, map, entries, message }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        _ = try container.decode(Int.self, forKey: .sluice)
        switch try container.decode(Name.self, forKey: .event) {
        case .log: self = .log(try container.decode(String.self, forKey: .message))
        case .mapUpdate:
            self = .mapUpdate(
                id: try container.decode(Int.self, forKey: .id), map: try container.decode(String.self, forKey: .map),
                entries: try container.decode([MapEntry].self, forKey: .entries))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(StageProtocol.version, forKey: .sluice)
        switch self {
        case .log(let message):
            try container.encode(Name.log, forKey: .event)
            try container.encode(message, forKey: .message)
        case .mapUpdate(let id, let map, let entries):
            try container.encode(Name.mapUpdate, forKey: .event)
            try container.encode(id, forKey: .id)
            try container.encode(map, forKey: .map)
            try container.encode(entries, forKey: .entries)
        }
    }
}
