// SPDX-License-Identifier: Apache-2.0

/// Asks a plugin to change its stage while it is live: `sluicectl rule add`, and the API's `change`.
public struct ChangeRequest: Codable, Sendable, Equatable {
    /// Where the stage stands, and when it is asked.
    public var context: PlanContext
    /// What is asked for; its form is the plugin's.
    public var request: JSON
    /// The rows of each counter table of the plan that the stage was built from.
    public var labels: [String: [String]]
    /// What is in each map of the plan's ``StagePlan/live``. A value of a per-CPU map is that of all possible CPUs, one
    /// after the other, each rounded up to 8 bytes.
    public var maps: [String: [MapEntry]]

    public init(
        context: PlanContext, request: JSON, labels: [String: [String]] = [:], maps: [String: [MapEntry]] = [:]
    ) {
        self.context = context
        self.request = request
        self.labels = labels
        self.maps = maps
    }
}

/// A plugin's answer to `change`. Untrusted input to the manager.
public struct StageChange: Codable, Sendable, Equatable {
    /// What is set, in this order. Each entry is set at once and whole, all of them are not: what packets must not see
    /// half of goes where nothing looks yet, and the last entry makes it count.
    public var updates: [MapUpdate]
    /// What was done, a line each, for the operator and the records.
    public var summary: [String]

    public init(updates: [MapUpdate], summary: [String]) {
        self.updates = updates
        self.summary = summary
    }
}

/// Entries to set in one map; others stay.
public struct MapUpdate: Codable, Sendable, Equatable {
    /// Its C name, one of the plan's ``StagePlan/live``.
    public var map: String
    /// Of a per-CPU map, a value is that of all possible CPUs, laid out as in ``ChangeRequest/maps``.
    public var entries: [MapEntry]

    public init(map: String, entries: [MapEntry]) {
        self.map = map
        self.entries = entries
    }
}
