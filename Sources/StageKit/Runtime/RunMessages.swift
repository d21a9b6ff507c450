// SPDX-License-Identifier: Apache-2.0

/// What a plugin tells the manager while its `run` is under way.
public enum RunMessage: Sendable, Equatable {
    /// Set these entries of a map; `id` is the plugin's and returns in the acknowledgement.
    case mapUpdate(id: Int, map: String, entries: [MapEntry])
    /// A line for the manager's log.
    case log(String)
    /// A line for the events.
    case report(String)
    /// The answer to the question `id`.
    case answer(id: Int, Result<StageTable, StageError>)
    /// Change the live stage; `id` is the plugin's and returns in the acknowledgement.
    case change(id: Int, request: JSON, reason: String)
}

extension RunMessage: Codable {
    private enum Name: String, Codable, CaseIterable {
        case log, report, answer, change
        case mapUpdate = "map-update"
    }

    private enum CodingKeys: CodingKey {
        case sluice, event, id, map, entries, message, table, error, request, reason
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        _ = try container.decode(Int.self, forKey: .sluice)
        switch try container.decode(Name.self, forKey: .event) {
        case .log: self = .log(try container.decode(String.self, forKey: .message))
        case .report: self = .report(try container.decode(String.self, forKey: .message))
        case .mapUpdate:
            self = .mapUpdate(
                id: try container.decode(Int.self, forKey: .id), map: try container.decode(String.self, forKey: .map),
                entries: try container.decode([MapEntry].self, forKey: .entries))
        case .answer:
            let id = try container.decode(Int.self, forKey: .id)
            let error = try container.decodeIfPresent(StageError.self, forKey: .error)
            let table = try container.decodeIfPresent(StageTable.self, forKey: .table)
            switch (table, error) {
            case (let table?, nil): self = .answer(id: id, .success(table))
            case (nil, let error?): self = .answer(id: id, .failure(error))
            default: throw StageError("either \"table\" or \"error\" is needed")
            }
        case .change:
            self = .change(
                id: try container.decode(Int.self, forKey: .id),
                request: try container.decode(JSON.self, forKey: .request),
                reason: try container.decode(String.self, forKey: .reason))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(StageProtocol.version, forKey: .sluice)
        switch self {
        case .log(let message):
            try container.encode(Name.log, forKey: .event)
            try container.encode(message, forKey: .message)
        case .report(let message):
            try container.encode(Name.report, forKey: .event)
            try container.encode(message, forKey: .message)
        case .mapUpdate(let id, let map, let entries):
            try container.encode(Name.mapUpdate, forKey: .event)
            try container.encode(id, forKey: .id)
            try container.encode(map, forKey: .map)
            try container.encode(entries, forKey: .entries)
        case .answer(let id, let answer):
            try container.encode(Name.answer, forKey: .event)
            try container.encode(id, forKey: .id)
            switch answer {
            case .success(let table): try container.encode(table, forKey: .table)
            case .failure(let error): try container.encode(error, forKey: .error)
            }
        case .change(let id, let request, let reason):
            try container.encode(Name.change, forKey: .event)
            try container.encode(id, forKey: .id)
            try container.encode(request, forKey: .request)
            try container.encode(reason, forKey: .reason)
        }
    }
}
