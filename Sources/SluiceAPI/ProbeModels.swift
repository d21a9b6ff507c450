// SPDX-License-Identifier: Apache-2.0

/// What differs between two generations of a chain, as they were asked for.
public struct GenerationDiff: Codable, Sendable, Equatable {
    public var hook: String
    public var from: Int
    public var to: Int
    /// As `plan` shows it: each line starts with `+`, `-`, `~` or a space.
    public var lines: [String]

    public init(hook: String, from: Int, to: Int, lines: [String]) {
        self.hook = hook
        self.from = from
        self.to = to
        self.lines = lines
    }
}

/// What this kernel and this machine give, tried out by the daemon with the rights it has.
public struct ProbeReport: Codable, Sendable, Equatable {
    /// `uname -r`.
    public var kernel: String
    public var items: [ProbeItem]
    /// Whether all that Sluice cannot do without is there.
    public var ready: Bool { !items.contains { $0.required && !$0.supported } }

    public init(kernel: String, items: [ProbeItem]) {
        self.kernel = kernel
        self.items = items
    }
}

/// One thing that was tried.
public struct ProbeItem: Codable, Sendable, Equatable {
    /// `machine`, `hook`, `map` or `feature`.
    public var group: String
    public var name: String
    public var supported: Bool
    /// Whether Sluice cannot do without.
    public var required: Bool
    /// What it is good for; or when it is not there, why not.
    public var reason: String
    /// What to do about it; nil when it is there.
    public var remedy: String?

    public init(group: String, name: String, supported: Bool, required: Bool, reason: String, remedy: String? = nil) {
        self.group = group
        self.name = name
        self.supported = supported
        self.required = required
        self.reason = reason
        self.remedy = remedy
    }
}
