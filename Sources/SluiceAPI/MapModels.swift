// SPDX-License-Identifier: Apache-2.0

/// The maps of one stage, in one generation of its chain.
public struct StageMaps: Codable, Sendable, Equatable {
    public var hook: String
    public var stage: String
    public var generation: Int
    public var maps: [MapInfo]

    public init(hook: String, stage: String, generation: Int, maps: [MapInfo]) {
        self.hook = hook
        self.stage = stage
        self.generation = generation
        self.maps = maps
    }
}

/// What a map is for, which says who may change it.
public enum MapRole: String, Codable, Sendable {
    /// Outlives generations.
    case state
    /// Belongs to its generation, filled from the stage's plan or by hand.
    case configuration
    /// The global variables of an object.
    case data
    /// Sluice's own.
    case manager
}

/// One map of a stage.
public struct MapInfo: Codable, Sendable, Equatable {
    /// Its name in C.
    public var name: String
    /// libbpf's name of its type: `lru_hash`.
    public var type: String
    /// The types of its keys and values by the object's BTF, with what is in them; nil where it has none.
    public var keyType: String?
    public var valueType: String?
    /// How many it can hold.
    public var maxEntries: Int
    /// How many it has; nil for what has no entries, such as a ring buffer.
    public var entries: Int?
    /// Whether `entries` is only where the count stopped.
    public var more: Bool
    public var role: MapRole
    /// Whether nobody can change it from outside any more.
    public var frozen: Bool

    public init(
        name: String, type: String, keyType: String?, valueType: String?, maxEntries: Int, entries: Int?, more: Bool,
        role: MapRole, frozen: Bool
    ) {
        self.name = name
        self.type = type
        self.keyType = keyType
        self.valueType = valueType
        self.maxEntries = maxEntries
        self.entries = entries
        self.more = more
        self.role = role
        self.frozen = frozen
    }
}

/// What is in a map. Not a snapshot: programs go on changing it while it is read.
public struct MapDump: Codable, Sendable, Equatable {
    public var hook: String
    public var stage: String
    public var generation: Int
    public var map: MapInfo
    public var entries: [TypedEntry]

    public init(hook: String, stage: String, generation: Int, map: MapInfo, entries: [TypedEntry]) {
        self.hook = hook
        self.stage = stage
        self.generation = generation
        self.map = map
        self.entries = entries
    }
}

/// One entry of a map, by the types of its key and value.
public struct TypedEntry: Codable, Sendable, Equatable {
    public var key: JSONValue
    /// For a per-CPU map the sum, where its values are 64-bit counters and nothing else; else nil.
    public var value: JSONValue?
    /// For a per-CPU map the value of each possible CPU; else nil.
    public var cpus: [JSONValue]?

    public init(key: JSONValue, value: JSONValue?, cpus: [JSONValue]? = nil) {
        self.key = key
        self.value = value
        self.cpus = cpus
    }
}

/// Asks for entries of a map to be set.
public struct MapUpdateRequest: Codable, Sendable {
    public var entries: [TypedEntry]
    /// The generation whose map it is; nil for the live one.
    public var generation: Int?
    /// Whether a plugin's state may be changed, which only its program does otherwise.
    public var force: Bool
    /// Kept in the audit trail.
    public var message: String

    public init(entries: [TypedEntry], generation: Int? = nil, force: Bool = false, message: String = "") {
        self.entries = entries
        self.generation = generation
        self.force = force
        self.message = message
    }
}

/// Asks for entries of a map to be removed.
public struct MapDeleteRequest: Codable, Sendable {
    public var keys: [JSONValue]
    public var generation: Int?
    public var force: Bool
    public var message: String

    public init(keys: [JSONValue], generation: Int? = nil, force: Bool = false, message: String = "") {
        self.keys = keys
        self.generation = generation
        self.force = force
        self.message = message
    }
}

/// What was done to a map.
public struct MapChange: Codable, Sendable, Equatable {
    public var hook: String
    public var stage: String
    public var map: String
    public var generation: Int
    /// How many entries were set or removed.
    public var entries: Int
    /// What an operator ought to know: when the change will be gone.
    public var notes: [String]

    public init(hook: String, stage: String, map: String, generation: Int, entries: Int, notes: [String]) {
        self.hook = hook
        self.stage = stage
        self.map = map
        self.generation = generation
        self.entries = entries
        self.notes = notes
    }
}
