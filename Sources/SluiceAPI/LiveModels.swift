// SPDX-License-Identifier: Apache-2.0

/// Asks the plugin of a live stage to change it.
public struct StageChangeRequest: Codable, Sendable, Equatable {
    /// What is asked for; its form is the plugin's.
    public var request: JSONValue
    /// Kept in the audit trail.
    public var message: String

    public init(request: JSONValue, message: String = "") {
        self.request = request
        self.message = message
    }
}

/// What became of a live stage.
public struct StageChangeReport: Codable, Sendable, Equatable {
    public var hook: String
    public var stage: String
    /// The live generation.
    public var generation: Int
    /// What was done, a line each.
    public var lines: [String]
    /// What an operator ought to know: who else sees the change, when it will be gone.
    public var notes: [String]
    public var timings: [Timing]

    public init(
        hook: String, stage: String, generation: Int, lines: [String], notes: [String], timings: [Timing]
    ) {
        self.hook = hook
        self.stage = stage
        self.generation = generation
        self.lines = lines
        self.notes = notes
        self.timings = timings
    }
}

/// Asks the plugin of a live stage to show something of it.
public struct StageInspectRequest: Codable, Sendable, Equatable {
    /// What is asked for; its form is the plugin's.
    public var request: JSONValue

    public init(request: JSONValue) {
        self.request = request
    }
}

/// Asks the plugin of a live stage while it runs.
public struct StageAskRequest: Codable, Sendable, Equatable {
    /// What is asked; its form is the plugin's. At most 64 KiB.
    public var question: JSONValue

    public init(question: JSONValue) {
        self.question = question
    }
}

/// What a plugin shows of its live stage.
public struct StageInspection: Codable, Sendable, Equatable {
    public var hook: String
    public var stage: String
    /// The live generation.
    public var generation: Int
    public var columns: [String]
    /// A string, an integer or null for each column.
    public var rows: [[JSONValue]]
    public var notes: [String]

    public init(
        hook: String, stage: String, generation: Int, columns: [String], rows: [[JSONValue]], notes: [String]
    ) {
        self.hook = hook
        self.stage = stage
        self.generation = generation
        self.columns = columns
        self.rows = rows
        self.notes = notes
    }
}
