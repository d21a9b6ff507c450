// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI

/// What a generation is, kept in the kernel beside it: a frozen map with one JSON value, pinned as `meta` and bound to
/// the programs, so that whoever finds one of them knows whose it is. It is true even when the database is lost.
struct Manifest: Codable, Equatable {
    var hook: String
    var generation: Int
    var counters: Bool
    var stages: [Stage]
    /// The names of all other pins in the generation's folder: what is not there any more was taken away.
    var pins: [String]

    struct Stage: Codable, Equatable {
        var record: StageRecord
        /// State maps by C name, with the schema: the pins below `state/` that this generation uses.
        var state: [String: String]
        /// What it takes over from, by the C names of the maps that stand for it.
        var before: [String: Predecessor]

        var name: String { record.name }
        var artifact: String { record.artifact }
    }

    init(_ chain: ResolvedChain, generation: Int, taking transfer: StateTransfer = [:], pins: [String]) {
        self.hook = chain.spec.hook
        self.generation = generation
        self.counters = chain.spec.counters
        self.pins = pins
        self.stages = chain.stages.map {
            Stage(record: $0.record, state: $0.state, before: transfer[$0.name] ?? [:])
        }
    }

    /// Puts the manifest into the kernel and pins it.
    func store(at path: String) throws -> BPFMap {
        try FrozenJSON.store(self, named: "sluice_meta", at: path)
    }

    /// Reads a pinned manifest.
    init(pinnedAt path: String) throws {
        self = try FrozenJSON.read(path)
    }
}
