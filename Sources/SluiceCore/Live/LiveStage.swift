// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// A stage of the live generation that its plugin may change.
struct LiveStage {
    var directory: HookDirectory
    var traffic: HookDirectory.Traffic
    /// From 1 on.
    var slot: Int
    /// As the kernel has it.
    var manifest: Manifest.Stage
    var stored: StoredLiveStage

    var generation: Int { traffic.live }
    var name: String { manifest.name }

    /// The rows of its counter tables.
    var labels: [String: [String]] { Dictionary(stored.counters.map { ($0.name, $0.rows) }) { first, _ in first } }

    func context() -> PlanContext {
        PlanContext(now: directory.hook, stage: name)
    }

    private func pin(_ map: String) -> String { statePin(map) ?? directory.generation(generation).map(slot, map) }

    private func statePin(_ map: String) -> String? {
        manifest.state[map].map { directory.state(stage: name, map: map, schema: $0) }
    }

    /// What is in the maps that may be changed; of arrays what is not zero.
    func contents() throws -> [String: [MapEntry]] {
        try Dictionary(
            uniqueKeysWithValues: stored.maps.map { name in
                let map = try BPFMap.pinned(at: pin(name))
                return (name, try map.wholeEntries().map { MapEntry(key: Bytes($0.key), value: Bytes($0.value)) })
            })
    }

    /// What its counters have, by table: a row each, times in seconds since 1970.
    func counters() throws -> [String: [[UInt64]]] {
        let clock = Clock()
        let generation = directory.generation(generation)
        return try stored.counters.reduce(into: [:]) { counters, table in
            let times = table.columns.map(table.times.contains)
            counters[table.name] = try generation.values(of: table, of: slot, statePin: statePin).map { row in
                zip(row, times).map { value, isTime in isTime ? clock.seconds(of: value) : value }
            }
        }
    }

    /// Holds what a plugin wants to set against the maps: untrusted input.
    func check(_ updates: [MapUpdate]) throws {
        for (index, update) in updates.enumerated() {
            let path = "updates[\(index)]"
            let map = try BPFMap.pinned(at: pin(update.map))
            guard map.isFrozen() != true else {
                throw StageError("\"\(update.map)\" is frozen: nobody can change it any more", at: "\(path).map")
            }
            for (place, entry) in update.entries.enumerated() {
                guard entry.key.raw.count == map.keySize, entry.value.raw.count == map.wholeValueSize else {
                    throw StageError(
                        "\"\(update.map)\" has keys of \(map.keySize) and values of \(map.wholeValueSize) bytes, not "
                            + "\(entry.key.raw.count) and \(entry.value.raw.count)", at: "\(path).entries[\(place)]")
                }
            }
        }
    }

    /// Sets the entries in order. When one cannot be, those before it are undone, in the opposite order.
    /// - Parameter before: what was in the maps.
    func apply(_ updates: [MapUpdate], before: [String: [MapEntry]]) throws {
        var done: [(map: String, key: Bytes)] = []
        do {
            for update in updates {
                let map = try BPFMap.pinned(at: pin(update.map))
                for entry in update.entries {
                    try map.update(key: entry.key.raw, whole: entry.value.raw)
                    done.append((update.map, entry.key))
                }
            }
        } catch {
            for (name, key) in done.reversed() {
                let map = try BPFMap.pinned(at: pin(name))
                if let old = before[name]?.first(where: { $0.key == key }) {
                    try map.update(key: key.raw, whole: old.value.raw)
                } else if map.type.isArray {
                    try map.update(key: key.raw, whole: [UInt8](repeating: 0, count: map.wholeValueSize))
                } else {
                    try map.delete(key: key.raw)
                }
            }
            throw error
        }
    }
}
