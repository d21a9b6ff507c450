// SPDX-License-Identifier: Apache-2.0

/// The kind of hook a stage is written for, by the name it has in a spec (`xdp:eth0` has kind `xdp`).
public enum HookKind: String, Codable, Sendable, CaseIterable {
    case xdp
}

/// A plugin's answer to `describe`.
public struct StageDescription: Codable, Sendable, Equatable {
    /// The plugin's name, as in a spec: lower-case letters, digits and hyphens.
    public var name: String
    /// `MAJOR.MINOR` or `MAJOR.MINOR.PATCH`; compared number by number.
    public var version: String
    /// One line for `sluicectl plugins`.
    public var summary: String
    /// The hooks its stage can stand at.
    public var hooks: [HookKind]
    /// Whether it has work to do while live; the manager then keeps its `run` going.
    public var runs: Bool

    public init(name: String, version: String, summary: String, hooks: [HookKind], runs: Bool = false) {
        self.name = name
        self.version = version
        self.summary = summary
        self.hooks = hooks
        self.runs = runs
    }
}

extension StageDescription {
    /// `runs` may be left out.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        version = try container.decode(String.self, forKey: .version)
        summary = try container.decode(String.self, forKey: .summary)
        hooks = try container.decode([HookKind].self, forKey: .hooks)
        runs = try container.decodeIfPresent(Bool.self, forKey: .runs) ?? false
    }
}

/// What a plugin is told about the place its stage will stand.
public struct PlanContext: Codable, Sendable, Equatable {
    /// The hook, `xdp:eth0` or `xdp:eth0@edge`.
    public var hook: String
    /// The stage's name in the chain.
    public var stage: String

    public init(hook: String, stage: String) {
        self.hook = hook
        self.stage = stage
    }
}
