// SPDX-License-Identifier: Apache-2.0

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
    /// Whether it may have work to do while live; the manager then keeps its `run` going. A plan can say that there is
    /// none, see ``StagePlan/runs``.
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

/// What a plugin is told about the place its stage stands or will stand, and the moment it is asked.
public struct PlanContext: Codable, Sendable, Equatable {
    /// The hook, `xdp:eth0` or `xdp:eth0@edge`.
    public var hook: String
    /// The stage's name in the chain.
    public var stage: String
    /// When it is asked, in seconds since 1970, UTC: a plugin needs no clock of its own to be pure.
    public var time: Int64
    /// How many seconds `CLOCK_TAI` (`bpf_ktime_get_tai_ns`, Linux 6.1) is ahead of `time`: what a program must hold moments
    /// against that are to outlive a reboot.
    public var taiOffset: Int64
    /// `CLOCK_MONOTONIC` (`bpf_ktime_get_ns`) at `time`, in nanoseconds.
    public var monotonic: UInt64
    /// Possible CPUs: so many values an entry of a per-CPU map has, each rounded up to eight bytes.
    public var cpus: Int

    public init(
        hook: String, stage: String, time: Int64 = 0, taiOffset: Int64 = 0, monotonic: UInt64 = 0, cpus: Int = 1
    ) {
        self.hook = hook
        self.stage = stage
        self.time = time
        self.taiOffset = taiOffset
        self.monotonic = monotonic
        self.cpus = cpus
    }
}

extension PlanContext {
    /// The kind of the hook; nil when a plugin is asked by hand for one that is none.
    public var kind: HookKind? { HookKind(of: hook) }

    /// The interface of the hook, in the network namespace that it is in; nil at hooks of other places.
    public var interface: String? {
        guard kind?.place == .interface, let colon = hook.firstIndex(of: ":") else { return nil }
        return String(hook[hook.index(after: colon)...].prefix { $0 != "@" })
    }
}

extension PlanContext {
    /// Only `hook` and `stage` must be there.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            hook: try container.decode(String.self, forKey: .hook),
            stage: try container.decode(String.self, forKey: .stage),
            time: try container.decodeIfPresent(Int64.self, forKey: .time) ?? 0,
            taiOffset: try container.decodeIfPresent(Int64.self, forKey: .taiOffset) ?? 0,
            monotonic: try container.decodeIfPresent(UInt64.self, forKey: .monotonic) ?? 0,
            cpus: try container.decodeIfPresent(Int.self, forKey: .cpus) ?? 1)
    }
}
