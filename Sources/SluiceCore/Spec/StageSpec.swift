// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A stage as somebody asked for it.
struct StageSpec: Codable, Sendable, Equatable {
    var name: String
    var source: StageSource

    /// What it is configured with, for comparing and for showing what changed.
    var config: JSON {
        switch source {
        case .plugin(let plugin): plugin.config
        case .object(let object): object.settings
        }
    }
}

/// Where a stage's program comes from.
enum StageSource: Codable, Sendable, Equatable {
    case plugin(PluginSource)
    case object(ObjectSource)
}

/// A plugin, which makes a plan of a configuration.
struct PluginSource: Codable, Sendable, Equatable {
    var name: String
    /// Nil for the newest installed.
    var version: String?
    var config: JSON = .object(.init())
}

/// A BPF object that nobody wrote for Sluice: adopted as it is.
struct ObjectSource: Codable, Sendable, Equatable {
    /// The object file's absolute path.
    var path: String
    /// The C name of the program; nil for the only one the object has.
    var program: String?
    /// The verdicts after which the next stage has its turn; any other ends the walk.
    var proceedOn: [Verdict] = [.pass]
    /// Values of `const volatile` variables, by C name.
    var rodata: [String: JSON] = [:]
    var maps: [String: MapSettings] = [:]

    struct MapSettings: Codable, Sendable, Equatable {
        /// Overrides `max_entries` of the object; nil keeps it.
        var maxEntries: UInt32?
        /// Whether it outlives generations; nil for what the object says: one that pins itself by name does.
        var state: Bool?
    }

    /// The spec's keys with the values they have, defaults included.
    var settings: JSON {
        let maps = maps.mapValues { map in
            var keys = JSON.Object()
            keys["max-entries"] = map.maxEntries.map { .integer(Int64($0)) }
            keys["state"] = map.state.map { .boolean($0) }
            return JSON.object(keys)
        }
        return [
            "proceed-on": .array(proceedOn.map { .string($0.rawValue) }), "rodata": .object(.init(rodata)),
            "maps": .object(.init(maps)),
        ]
    }
}
