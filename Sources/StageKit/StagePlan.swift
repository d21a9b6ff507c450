// SPDX-License-Identifier: Apache-2.0

/// What a stage's program can say about a packet. The raw value is its name in specs, plans and output.
public enum Verdict: String, Codable, Sendable, CaseIterable {
    case aborted, drop, pass, tx, redirect
    /// Not a verdict of the hook: the next stage's turn (`SLUICE_NEXT`).
    case next
}

/// A plugin's answer to `plan`: all that the manager needs to load the stage. Untrusted input to the manager.
public struct StagePlan: Codable, Sendable, Equatable {
    /// The BPF object, a file name in the plugin's own directory.
    public var object: String
    /// The program in that object, by its C name.
    public var program: String
    /// Whether the program copes with packets in fragments (multi-buffer XDP).
    public var frags: Bool
    /// Values of `const volatile` variables, by C name; set before load, checked against the object's BTF.
    public var constants: [String: Constant]
    /// Sizes and contents of maps, by C name.
    public var maps: [String: MapPlan]
    /// The verdicts the program can give; anything else it gives is counted as invalid.
    public var verdicts: [Verdict]
    /// Packets to try before the stage goes live, with the verdict each must get.
    public var samples: [Sample]
    /// How to read the stage's own counters.
    public var counters: [CounterTable]
    /// The maps that ``StagePlugin/change(_:)`` sets and is shown, by C name: state or configuration, of type ARRAY,
    /// HASH, LPM_TRIE or PERCPU_ARRAY.
    public var live: [String]
    /// The configuration in words, a line each, for `sluicectl plan`.
    public var summary: [String]
    /// The ring buffer (`BPF_MAP_TYPE_RINGBUF`) whose records `run` gets, by its C name; see ``StageSession/records``.
    public var ring: String?
    /// Whether `run` has work to do with this configuration; nil for what ``StageDescription/runs`` says. While some
    /// stage's has, the manager does not leave when idle.
    public var runs: Bool?
    /// Cgroups that the program compares with, which the manager looks up.
    public var cgroups: [CgroupReference]
    /// What the place must have for the stage to do all that it says, and a plugin cannot see.
    public var needs: [StageNeed]

    public init(
        object: String, program: String, frags: Bool = true, constants: [String: Constant] = [:],
        maps: [String: MapPlan] = [:], verdicts: [Verdict], samples: [Sample] = [], counters: [CounterTable] = [],
        live: [String] = [], summary: [String] = [], ring: String? = nil, runs: Bool? = nil,
        cgroups: [CgroupReference] = [], needs: [StageNeed] = []
    ) {
        self.object = object
        self.program = program
        self.frags = frags
        self.constants = constants
        self.maps = maps
        self.verdicts = verdicts
        self.samples = samples
        self.counters = counters
        self.live = live
        self.summary = summary
        self.ring = ring
        self.runs = runs
        self.cgroups = cgroups
        self.needs = needs
    }
}

extension StagePlan {
    /// All but `object`, `program` and `verdicts` may be left out; `frags` is then false, as nothing was promised.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        object = try container.decode(String.self, forKey: .object)
        program = try container.decode(String.self, forKey: .program)
        frags = try container.decodeIfPresent(Bool.self, forKey: .frags) ?? false
        constants = try container.decodeIfPresent([String: Constant].self, forKey: .constants) ?? [:]
        maps = try container.decodeIfPresent([String: MapPlan].self, forKey: .maps) ?? [:]
        verdicts = try container.decode([Verdict].self, forKey: .verdicts)
        samples = try container.decodeIfPresent([Sample].self, forKey: .samples) ?? []
        counters = try container.decodeIfPresent([CounterTable].self, forKey: .counters) ?? []
        live = try container.decodeIfPresent([String].self, forKey: .live) ?? []
        summary = try container.decodeIfPresent([String].self, forKey: .summary) ?? []
        ring = try container.decodeIfPresent(String.self, forKey: .ring)
        runs = try container.decodeIfPresent(Bool.self, forKey: .runs)
        cgroups = try container.decodeIfPresent([CgroupReference].self, forKey: .cgroups) ?? []
        needs = try container.decodeIfPresent([StageNeed].self, forKey: .needs) ?? []
    }
}

/// A cgroup whose number goes into a map: `{ __u64 id; __u32 level; __u32 zero; }`, to be held against
/// `bpf_skb_ancestor_cgroup_id(skb, level)` and its like; zeros while there is no such cgroup. The manager sets it when the
/// stage is loaded, and whenever the cgroup has come, gone or been made anew.
public struct CgroupReference: Codable, Sendable, Equatable {
    /// The path below the mount of cgroup2, `/edge.slice/backup`, or a unit, `backup.service`.
    public var cgroup: String
    /// The map's C name: configuration, of type ARRAY or HASH, with values of 16 bytes, not frozen.
    public var map: String
    public var key: Bytes

    public init(_ cgroup: String, map: String, key: Bytes) {
        self.cgroup = cgroup
        self.map = map
        self.key = key
    }
}

/// What a stage may need of its place.
public enum StageNeed: String, Codable, Sendable, CaseIterable {
    /// A qdisc that holds packets back until their departure time (`skb->tstamp`).
    case fq
}

/// The value of one `const volatile` variable. In JSON: a number, `true`/`false`, or `{"bytes": "<hex>"}`.
public enum Constant: Sendable, Equatable {
    case integer(Int64)
    case unsigned(UInt64)
    case boolean(Bool)
    /// As it lies in memory, for structs and arrays.
    case bytes(Bytes)
}

/// The size and contents of one map.
public struct MapPlan: Codable, Sendable, Equatable {
    /// Overrides `max_entries` of the object; nil keeps it.
    public var maxEntries: UInt32?
    /// What it holds when the stage goes live. Not allowed for a state map.
    public var entries: [MapEntry]
    /// No one may change it after load (`BPF_MAP_FREEZE`); for user space only, the program still may.
    public var freeze: Bool

    public init(maxEntries: UInt32? = nil, entries: [MapEntry] = [], freeze: Bool = false) {
        self.maxEntries = maxEntries
        self.entries = entries
        self.freeze = freeze
    }
}

extension MapPlan {
    /// Every key may be left out.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        maxEntries = try container.decodeIfPresent(UInt32.self, forKey: .maxEntries)
        entries = try container.decodeIfPresent([MapEntry].self, forKey: .entries) ?? []
        freeze = try container.decodeIfPresent(Bool.self, forKey: .freeze) ?? false
    }
}

/// One key and value, as they lie in memory.
public struct MapEntry: Codable, Sendable, Equatable {
    public var key: Bytes
    public var value: Bytes

    public init(key: Bytes, value: Bytes) {
        self.key = key
        self.value = value
    }
}

/// A packet to try, and the verdict the stage must give it.
public struct Sample: Codable, Sendable, Equatable {
    /// What it shows, for the error when it fails: "a TCP SYN to a blocked port".
    public var name: String
    /// The frame, from the Ethernet header on; at least 14 bytes.
    public var packet: Bytes
    public var expect: Verdict

    public init(name: String, packet: Bytes, expect: Verdict) {
        self.name = name
        self.packet = packet
        self.expect = expect
    }
}

/// How to read one array map of counters: a row an index, a column a `__u64` of the value.
/// Per-CPU values are summed.
public struct CounterTable: Codable, Sendable, Equatable {
    /// What the rows are: `rules`, `reasons`.
    public var name: String
    /// The map's C name, an ARRAY or PERCPU_ARRAY whose value is `columns.count` times `__u64`.
    public var map: String
    public var columns: [String]
    /// Those of `columns` that are times, in nanoseconds of `CLOCK_MONOTONIC` (`bpf_ktime_get_ns`), 0 for never. Of a
    /// per-CPU map the latest counts.
    public var times: [String]
    /// The rows' labels, from index 0 on.
    public var rows: [String]

    public init(name: String, map: String, columns: [String], times: [String] = [], rows: [String]) {
        self.name = name
        self.map = map
        self.columns = columns
        self.times = times
        self.rows = rows
    }
}

extension CounterTable {
    /// `times` may be left out.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        map = try container.decode(String.self, forKey: .map)
        columns = try container.decode([String].self, forKey: .columns)
        times = try container.decodeIfPresent([String].self, forKey: .times) ?? []
        rows = try container.decode([String].self, forKey: .rows)
    }
}
