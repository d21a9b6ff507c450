// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
internal import SluiceAPI

/// What a generation is, kept in the kernel beside it: a frozen map with one JSON value, pinned as `meta` and bound to
/// the programs, so that whoever finds one of them knows whose it is. It is true even when the database is lost.
struct Manifest: Codable, Equatable {
    var hook: String
    var generation: Int
    var counters: Bool
    var stages: [Stage]

    struct Stage: Codable, Equatable {
        var record: StageRecord
        /// State maps by C name, with the schema: the pins below `state/` that this generation uses.
        var state: [String: String]

        var name: String { record.name }
        var artifact: String { record.artifact }
    }

    init(_ chain: ResolvedChain, generation: Int) {
        self.hook = chain.spec.hook
        self.generation = generation
        self.counters = chain.spec.counters
        self.stages = chain.stages.map {
            Stage(record: $0.record, state: $0.state)
        }
    }

    /// Puts the manifest into the kernel and pins it.
    func store(at path: String) throws -> BPFMap {
        let json = [UInt8](try JSONEncoder().encode(self))
        let map = try BPFMap.create(
            "sluice_meta", type: .array, keySize: 4, valueSize: (json.count + 7) & ~7, maxEntries: 1,
            programReadOnly: true)
        // Padded with spaces, which JSON ignores.
        let padding = [UInt8](repeating: UInt8(ascii: " "), count: map.valueSize - json.count)
        try map.update(key: bytes(of: UInt32(0)), value: json + padding)
        try map.freeze()
        try map.pin(at: path)
        return map
    }

    /// Reads a pinned manifest.
    init(pinnedAt path: String) throws {
        let map = try BPFMap.pinned(at: path)
        guard map.type == .array, map.keySize == 4, let value = try map.lookup(key: bytes(of: UInt32(0))) else {
            throw APIErrorBody.conflict("\(path) is not a generation's manifest")
        }
        self = try JSONDecoder().decode(Manifest.self, from: Data(value))
    }
}
