// SPDX-License-Identifier: Apache-2.0

internal import BPF

/// The state maps that an object declares, and the earlier layouts that it can take over from.
struct StateMaps: Sendable {
    /// By C name, their schema.
    var schemas: [String: String]
    /// The maps declared by `SLUICE_STATE_BEFORE`, by name.
    var predecessors: [Declared]

    struct Declared: Sendable {
        var name: String
        /// The state map it stands before.
        var map: String
        /// The first part of the schemas it fits.
        var layout: String
        /// Whether the object has a merge program for it.
        var merges: Bool
    }

    /// Those of an adopted object, which knows of no earlier layouts.
    init(adopted schemas: [String: String]) {
        self.schemas = schemas
        predecessors = []
    }

    init(of object: BPFObject, owner: String) {
        let maps = object.maps
        let programs = Set(object.programNames)
        schemas = Dictionary(uniqueKeysWithValues: maps.filter(\.isState).map { ($0.name, $0.schema(of: owner)) })
        predecessors = maps.compactMap { declared in
            declared.predecessorOf.map { map in
                Declared(
                    name: declared.name, map: map, layout: declared.layoutName(of: owner),
                    merges: programs.contains(Self.mergeProgram(of: declared.name)))
            }
        }.sorted { $0.name < $1.name }
    }

    /// What `SLUICE_MERGE(map, ...)` is called.
    static func mergeProgram(of map: String) -> String { "sluice_merge_\(map)" }

    /// What stands for an old map of some schema.
    func predecessor(of map: String, fitting schema: String) -> Declared? {
        predecessors.first { $0.map == map && schema.hasPrefix("\($0.layout)_") }
    }

    /// How many entries a map of a schema has room for.
    static func capacity(of schema: String) -> Int { schema.split(separator: "_").last.flatMap { Int($0) } ?? 0 }
}

/// An old state map in the place of one that a stage declares by `SLUICE_STATE_BEFORE`.
struct Predecessor: Codable, Equatable, Sendable {
    /// The state map it stands before: together with the schema, which pin it is.
    var map: String
    var schema: String
    /// Whether it is merged once, after the flip; otherwise the stage looks into it for as long as it is live.
    var merges: Bool
}

/// What a new generation takes over of state in other layouts: by stage, and by the C names of the maps that stand for
/// the old ones.
typealias StateTransfer = [String: [String: Predecessor]]
