// SPDX-License-Identifier: Apache-2.0

/// What the manager tells a plugin while its `run` is under way.
public enum RunEvent: Sendable, Equatable {
    case notice(StageNotice)
    /// The map update `id` was applied, or refused for `error`.
    case mapUpdated(id: Int, error: StageError?)
    /// What came from the ring buffer.
    case records(StageRecords)
    /// Somebody asks; the answer repeats `id`.
    case ask(id: Int, question: JSON)
    /// The change `id` was made, in these words, or refused for `error`.
    case changed(id: Int, summary: [String], error: StageError?)
}

extension RunEvent: Codable {
    private enum Name: String, Codable, CaseIterable {
        case live, flipped, stop, records, ask, changed
        case rolledBack = "rolled-back"
        case mapUpdated = "map-updated"
    }

    private enum CodingKeys: CodingKey {
        case sluice, event, generation, id, error, ring, records, lost, question, summary
    }

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
        case .records:
            self = .records(
                StageRecords(
                    ring: try container.decode(String.self, forKey: .ring),
                    generation: try container.decode(Int.self, forKey: .generation),
                    records: try container.decode([Bytes].self, forKey: .records),
                    lost: try container.decode(Int.self, forKey: .lost)))
        case .ask:
            self = .ask(
                id: try container.decode(Int.self, forKey: .id),
                question: try container.decode(JSON.self, forKey: .question))
        case .changed:
            self = .changed(
                id: try container.decode(Int.self, forKey: .id),
                summary: try container.decodeIfPresent([String].self, forKey: .summary) ?? [],
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
        case .records(let records):
            try container.encode(Name.records, forKey: .event)
            try container.encode(records.ring, forKey: .ring)
            try container.encode(records.generation, forKey: .generation)
            try container.encode(records.records, forKey: .records)
            try container.encode(records.lost, forKey: .lost)
        case .ask(let id, let question):
            try container.encode(Name.ask, forKey: .event)
            try container.encode(id, forKey: .id)
            try container.encode(question, forKey: .question)
        case .changed(let id, let summary, let error):
            try container.encode(Name.changed, forKey: .event)
            try container.encode(id, forKey: .id)
            if let error {
                try container.encode(error, forKey: .error)
            } else {
                try container.encode(summary, forKey: .summary)
            }
        }
    }
}
