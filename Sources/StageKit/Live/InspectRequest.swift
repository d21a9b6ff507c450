// SPDX-License-Identifier: Apache-2.0

/// Asks a plugin to show something of its live stage: `sluicectl rule list`, and the API's `inspect`.
public struct InspectRequest: Codable, Sendable, Equatable {
    /// What the operator wrote under `config:`, as of the live generation.
    public var configuration: JSON
    /// Where the stage stands, and when it is asked.
    public var context: PlanContext
    /// What is asked for; its form is the plugin's.
    public var request: JSON
    /// The rows of each counter table of the plan that the stage was built from.
    public var labels: [String: [String]]
    /// As in ``ChangeRequest/maps``.
    public var maps: [String: [MapEntry]]
    /// Each counter table's values, a row each. Times (``CounterTable/times``) are in seconds since 1970, UTC, 0 for
    /// never.
    public var counters: [String: [[UInt64]]]

    public init(
        configuration: JSON, context: PlanContext, request: JSON, labels: [String: [String]] = [:],
        maps: [String: [MapEntry]] = [:], counters: [String: [[UInt64]]] = [:]
    ) {
        self.configuration = configuration
        self.context = context
        self.request = request
        self.labels = labels
        self.maps = maps
        self.counters = counters
    }
}

/// What a plugin shows. Untrusted input to the manager.
public struct StageTable: Codable, Sendable, Equatable {
    public var columns: [String]
    /// A cell a column each: a string, an integer, or null for nothing.
    public var rows: [[JSON]]
    /// What an operator ought to know of it.
    public var notes: [String]

    public init(columns: [String], rows: [[JSON]], notes: [String] = []) {
        self.columns = columns
        self.rows = rows
        self.notes = notes
    }
}

extension StageTable {
    /// `notes` may be left out.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        columns = try container.decode([String].self, forKey: .columns)
        rows = try container.decode([[JSON]].self, forKey: .rows)
        notes = try container.decodeIfPresent([String].self, forKey: .notes) ?? []
    }
}
