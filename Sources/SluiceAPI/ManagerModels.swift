// SPDX-License-Identifier: Apache-2.0

/// One installed version of a plugin.
public struct PluginInfo: Codable, Sendable, Equatable {
    public var name: String
    public var version: String
    public var summary: String
    public var hooks: [String]
    /// Its folder.
    public var path: String
    /// The stages that run it now, as `hook stage`.
    public var usedBy: [String]
    /// Why it cannot be used; nil when it can.
    public var problem: String?

    public init(
        name: String, version: String, summary: String, hooks: [String], path: String, usedBy: [String],
        problem: String?
    ) {
        self.name = name
        self.version = version
        self.summary = summary
        self.hooks = hooks
        self.path = path
        self.usedBy = usedBy
        self.problem = problem
    }
}

/// One entry of the audit trail, and of the event stream.
public struct Event: Codable, Sendable, Equatable {
    /// Rises by one with each event; `events --since` starts after it.
    public var id: Int64
    /// ISO 8601, UTC.
    public var time: String
    /// `apply`, `upgrade`, `rollback`, `detach`, `recover`, `gc`, ...
    public var action: String
    public var hook: String?
    /// `done`, `failed`, or `progress` (progress is streamed, not kept).
    public var outcome: String
    public var author: String
    public var message: String

    public init(
        id: Int64, time: String, action: String, hook: String?, outcome: String, author: String, message: String
    ) {
        self.id = id
        self.time = time
        self.action = action
        self.hook = hook
        self.outcome = outcome
        self.author = author
        self.message = message
    }
}

/// What `doctor` found.
public struct DoctorReport: Codable, Sendable, Equatable {
    public var findings: [Finding]
    /// Whether nothing is wrong, or not any more.
    public var healthy: Bool { !findings.contains { $0.level == .problem && $0.repaired == nil } }

    public init(findings: [Finding]) {
        self.findings = findings
    }
}

public struct Finding: Codable, Sendable, Equatable {
    public enum Level: String, Codable, Sendable { case ok, note, problem }
    public var level: Level
    /// What was looked at: `kernel`, `bpffs`, `xdp:eth0`.
    public var subject: String
    public var message: String
    /// What to do about it; nil for `ok`.
    public var remedy: String?
    /// Whether a repair may mend it.
    public var repairable: Bool
    /// What a repair did about it; nil when it is as it was.
    public var repaired: String?

    public init(
        level: Level, subject: String, message: String, remedy: String? = nil, repairable: Bool = false,
        repaired: String? = nil
    ) {
        self.level = level
        self.subject = subject
        self.message = message
        self.remedy = remedy
        self.repairable = repairable
        self.repaired = repaired
    }
}

/// What `gc` removed.
public struct GCReport: Codable, Sendable, Equatable {
    /// Pins, generations and artifacts, a line each.
    public var removed: [String]

    public init(removed: [String]) {
        self.removed = removed
    }
}

public struct VersionInfo: Codable, Sendable, Equatable {
    public var version: String
    /// The API's version, the `v1` of the paths.
    public var api: Int
    /// The plugin protocol's version.
    public var pluginProtocol: Int
    /// `uname -r`.
    public var kernel: String

    public init(version: String, api: Int, pluginProtocol: Int, kernel: String) {
        self.version = version
        self.api = api
        self.pluginProtocol = pluginProtocol
        self.kernel = kernel
    }
}

/// The body of every answer that is not 2xx.
public struct APIErrorBody: Codable, Sendable, Equatable, Error {
    /// A word for programs: `invalid-spec`, `not-found`, `forbidden`, `plugin-failed`, `verifier-refused`, `busy`, ...
    public var code: String
    /// What, on which object, why, and what to do.
    public var message: String
    /// The whole verifier log or plugin output, shown by `-v`.
    public var detail: String?

    public init(code: String, message: String, detail: String? = nil) {
        self.code = code
        self.message = message
        self.detail = detail
    }
}
