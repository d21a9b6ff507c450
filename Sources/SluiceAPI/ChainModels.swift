// SPDX-License-Identifier: Apache-2.0

/// One chain as it stands: what is wanted, what is live, and how it does.
public struct ChainStatus: Codable, Sendable, Equatable {
    /// `xdp:eth0`, or `xdp:eth0@edge` in the network namespace `/run/netns/edge`.
    public var hook: String
    public var state: ChainState
    /// The generation that `entry[0]` points to, read from the kernel; nil when none does.
    public var live: Int?
    /// How the root is attached: `native` or `generic`.
    public var mode: String?
    /// What a packet gets when a slot is empty: `pass` or `drop`.
    public var onFault: String
    public var stages: [StageStatus]
    /// Packets that fell through the root because `entry[0]` was empty.
    public var rootFallbacks: UInt64
    /// Since when the live generation is live, ISO 8601, UTC.
    public var since: String?
    /// What an operator ought to know: generic mode, counters off, a drifted record.
    public var notes: [String]
    /// The generation that is being tried beside the live one; nil when none is.
    public var canary: CanaryStatus?
    /// How long nothing was filtered here in this boot, before the root was attached; nil when nothing is known of such
    /// a time.
    public var gap: FilteringGap?
    /// How many sockets are in the group; nil at other hooks.
    public var sockets: Int?

    public init(
        hook: String, state: ChainState, live: Int?, mode: String?, onFault: String, stages: [StageStatus],
        rootFallbacks: UInt64, since: String?, notes: [String], canary: CanaryStatus? = nil, gap: FilteringGap? = nil,
        sockets: Int? = nil
    ) {
        self.hook = hook
        self.state = state
        self.live = live
        self.mode = mode
        self.onFault = onFault
        self.stages = stages
        self.rootFallbacks = rootFallbacks
        self.since = since
        self.notes = notes
        self.canary = canary
        self.gap = gap
        self.sockets = sockets
    }
}

public enum ChainState: String, Codable, Sendable {
    /// Attached, with a live generation.
    case live
    /// Wanted, and its generations are pinned, but its interface (or network namespace) is not there: the root is
    /// attached when one of that name appears.
    case waiting
    /// Wanted, but not attached although its interface is there, or not in the kernel (somebody's hand, somebody's
    /// program).
    case missing
    /// Detached by an operator; its history is kept.
    case detached
}

/// One stage of a live chain.
public struct StageStatus: Codable, Sendable, Equatable {
    public var name: String
    /// Nil for an adopted object.
    public var plugin: String?
    public var version: String?
    /// `FILE#PROGRAM` of an adopted object; nil for a plugin.
    public var object: String?
    /// Nil when the chain's counters are off.
    public var counters: StageCounters?

    public init(
        name: String, plugin: String? = nil, version: String? = nil, object: String? = nil, counters: StageCounters?
    ) {
        self.name = name
        self.plugin = plugin
        self.version = version
        self.object = object
        self.counters = counters
    }

    public init(_ record: StageRecord, counters: StageCounters?) {
        self.init(
            name: record.name, plugin: record.plugin, version: record.version, object: record.object, counters: counters
        )
    }

    /// What it runs: `volumetric-dos 1.1`, `object balancer.bpf.o#balancer_ingress`.
    public var title: String { stageTitle(plugin, version, object) }
}

/// What a stage has seen since its generation was built, summed over the CPUs.
public struct StageCounters: Codable, Sendable, Equatable {
    public var packets: UInt64
    public var bytes: UInt64
    /// Packets and bytes by verdict: `drop`, `pass`, `tx`, `redirect`, `aborted`, `next`, `invalid`, and `fallthrough`
    /// for packets whose next slot was empty.
    public var verdicts: [String: Count]

    public init(packets: UInt64, bytes: UInt64, verdicts: [String: Count]) {
        self.packets = packets
        self.bytes = bytes
        self.verdicts = verdicts
    }

    /// The share of a verdict, in percent; nil without packets.
    public func share(of verdict: String) -> Double? {
        packets == 0 ? nil : Double(verdicts[verdict]?.packets ?? 0) * 100 / Double(packets)
    }
}

public struct Count: Codable, Sendable, Equatable {
    public var packets: UInt64
    public var bytes: UInt64

    public init(packets: UInt64, bytes: UInt64) {
        self.packets = packets
        self.bytes = bytes
    }
}

/// One generation of a chain, as history keeps it.
public struct GenerationRecord: Codable, Sendable, Equatable {
    public var number: Int
    public var state: GenerationState
    /// When it was built, ISO 8601, UTC.
    public var created: String
    /// Who asked for it: a user's name, with the uid.
    public var author: String
    /// Why, as the operator or the manager gave it.
    public var message: String
    /// What differs from the generation that was live before, a line each, as `plan` showed it.
    public var changes: [String]
    /// `name plugin version` of each stage, in order.
    public var stages: [StageRecord]
    /// Of a kept generation: the state it would come back to where that is not the live one's, a line each map.
    public var returnsTo: [String]

    public init(
        number: Int, state: GenerationState, created: String, author: String, message: String, changes: [String],
        stages: [StageRecord], returnsTo: [String] = []
    ) {
        self.number = number
        self.state = state
        self.created = created
        self.author = author
        self.message = message
        self.changes = changes
        self.stages = stages
        self.returnsTo = returnsTo
    }
}

public enum GenerationState: String, Codable, Sendable {
    /// Being built; only seen while an apply runs.
    case building
    /// Takes the traffic.
    case live
    /// Tried beside the live one, on a share of the flows.
    case canary
    /// Pinned: `rollback` reaches it with one slot write.
    case kept
    /// No longer in the kernel; its record stays.
    case retired
}

public struct StageRecord: Codable, Sendable, Equatable {
    public var name: String
    /// Nil for an adopted object.
    public var plugin: String?
    public var version: String?
    /// `FILE#PROGRAM` of an adopted object; nil for a plugin.
    public var object: String?
    /// The artifact (plugin and object) it was built from, SHA-256 in hexadecimal.
    public var artifact: String

    public init(
        name: String, plugin: String? = nil, version: String? = nil, object: String? = nil, artifact: String
    ) {
        self.name = name
        self.plugin = plugin
        self.version = version
        self.object = object
        self.artifact = artifact
    }

    /// What it runs: `volumetric-dos 1.1`, `object balancer.bpf.o#balancer_ingress`.
    public var title: String { stageTitle(plugin, version, object) }
}

private func stageTitle(_ plugin: String?, _ version: String?, _ object: String?) -> String {
    object.map { "object \($0)" } ?? [plugin, version].compactMap(\.self).joined(separator: " ")
}

/// The counters of a live chain, the stages' own tables included.
public struct ChainStats: Codable, Sendable, Equatable {
    public var hook: String
    public var generation: Int
    public var stages: [StageStats]

    public init(hook: String, generation: Int, stages: [StageStats]) {
        self.hook = hook
        self.generation = generation
        self.stages = stages
    }
}

public struct StageStats: Codable, Sendable, Equatable {
    public var name: String
    public var counters: StageCounters?
    public var tables: [StatsTable]

    public init(name: String, counters: StageCounters?, tables: [StatsTable]) {
        self.name = name
        self.counters = counters
        self.tables = tables
    }
}

/// A table of a stage's own counters, read as its plan declared it.
public struct StatsTable: Codable, Sendable, Equatable {
    public var name: String
    public var columns: [String]
    public var rows: [StatsRow]

    public init(name: String, columns: [String], rows: [StatsRow]) {
        self.name = name
        self.columns = columns
        self.rows = rows
    }
}

public struct StatsRow: Codable, Sendable, Equatable {
    public var label: String
    public var values: [StatsValue]

    public init(label: String, values: [StatsValue]) {
        self.label = label
        self.values = values
    }
}
