// SPDX-License-Identifier: Apache-2.0

/// Asks what `apply` would change.
public struct PlanRequest: Codable, Sendable {
    /// The spec, YAML, as the operator wrote it.
    public var spec: String
    /// Where it came from, for messages: a file name, or `-`.
    public var source: String

    public init(spec: String, source: String) {
        self.spec = spec
        self.source = source
    }
}

/// Asks for a spec to be made so.
public struct ApplyRequest: Codable, Sendable {
    public var spec: String
    public var source: String
    /// Kept in history.
    public var message: String
    /// Whether a foreign program on the hook may be replaced.
    public var replace: Bool
    /// Tries what changes on a share of the flows first; nil flips at once.
    public var canary: CanaryRequest?

    public init(
        spec: String, source: String, message: String = "", replace: Bool = false, canary: CanaryRequest? = nil
    ) {
        self.spec = spec
        self.source = source
        self.message = message
        self.replace = replace
        self.canary = canary
    }
}

public struct RollbackRequest: Codable, Sendable {
    /// The generation to go back to; nil for the one that was live before.
    public var to: Int?
    public var message: String

    public init(to: Int? = nil, message: String = "") {
        self.to = to
        self.message = message
    }
}

public struct UpgradeRequest: Codable, Sendable {
    public var stage: String
    /// The version to go to; nil for the newest installed.
    public var version: String?
    public var message: String
    /// Tries it on a share of the flows first; nil flips at once.
    public var canary: CanaryRequest?

    public init(stage: String, version: String? = nil, message: String = "", canary: CanaryRequest? = nil) {
        self.stage = stage
        self.version = version
        self.message = message
        self.canary = canary
    }
}

public struct DetachRequest: Codable, Sendable {
    public var message: String
    /// Whether the program that `apply --replace` displaced is attached again.
    public var restore: Bool

    public init(message: String = "", restore: Bool = false) {
        self.message = message
        self.restore = restore
    }
}

/// Asks for the program that others attached to a hook to be made the first stage of its chain.
public struct AdoptRequest: Codable, Sendable {
    /// The stage's name.
    public var stage: String
    /// The object that the program was loaded from: `PATH#PROGRAM`, or `PATH` when the object has one program only.
    public var object: String
    /// Which program of those that others attached there: its id or its name. Nil where there is but one.
    public var program: String?
    /// The verdicts after which the next stage has its turn.
    public var proceedOn: [String]
    public var message: String

    public init(
        stage: String, object: String, program: String? = nil, proceedOn: [String] = ["pass"], message: String = ""
    ) {
        self.stage = stage
        self.object = object
        self.program = program
        self.proceedOn = proceedOn
        self.message = message
    }
}

/// What a plan would do to each chain it names.
public struct PlanReport: Codable, Sendable, Equatable {
    public var chains: [ChainPlan]
    /// Whether anything at all would change.
    public var changed: Bool { chains.contains { $0.action != .none } }

    public init(chains: [ChainPlan]) {
        self.chains = chains
    }
}

public struct ChainPlan: Codable, Sendable, Equatable {
    public var hook: String
    public var action: PlanAction
    /// A readable diff; each line starts with `+`, `-`, `~` or a space.
    public var lines: [String]
    public var notes: [String]

    public init(hook: String, action: PlanAction, lines: [String], notes: [String]) {
        self.hook = hook
        self.action = action
        self.lines = lines
        self.notes = notes
    }
}

public enum PlanAction: String, Codable, Sendable {
    /// As wanted already.
    case none
    /// No chain there yet: attach a root and build the first generation.
    case create
    /// Build a generation and flip to it.
    case update
}

/// What a change did.
public struct ChangeReport: Codable, Sendable, Equatable {
    public var chains: [ChainChange]

    public init(chains: [ChainChange]) {
        self.chains = chains
    }
}

public struct ChainChange: Codable, Sendable, Equatable {
    public var hook: String
    /// The live generation before and after; nil where there was or is none.
    public var from: Int?
    public var to: Int?
    /// The generation that is now tried beside the live one; nil when none is.
    public var canary: Int?
    /// A line each: what was done, with what an operator ought to know (a generic-mode fall-back).
    public var lines: [String]
    /// How long each step took, in milliseconds, in order.
    public var timings: [Timing]

    public init(hook: String, from: Int?, to: Int?, canary: Int? = nil, lines: [String], timings: [Timing]) {
        self.hook = hook
        self.from = from
        self.to = to
        self.canary = canary
        self.lines = lines
        self.timings = timings
    }
}

public struct Timing: Codable, Sendable, Equatable {
    public var step: String
    public var milliseconds: Double

    public init(step: String, milliseconds: Double) {
        self.step = step
        self.milliseconds = milliseconds
    }
}
