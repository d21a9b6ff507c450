// SPDX-License-Identifier: Apache-2.0

internal import BPF
public import StageKit

extension StageUnderTest {
    /// What the plugin is shown of the stage: the entries of the plan's ``StagePlan/live`` maps, of arrays those that
    /// are not zero.
    public func liveMaps() throws -> [String: [MapEntry]] {
        try plan.live.reduce(into: [:]) { maps, name in
            let map = try object.loadedMap(name)
            maps[name] = try map.wholeEntries().map { MapEntry(key: Bytes($0.key), value: Bytes($0.value)) }
        }
    }

    /// `context.cpus` of what the plugin is asked.
    public var possibleCPUs: Int { BPFMap.possibleCPUs }

    /// Does what the plugin's `change` says, as the manager does.
    public func make(_ change: StageChange) throws {
        for update in change.updates {
            let map = try object.loadedMap(update.map)
            for entry in update.entries { try map.update(key: entry.key.raw, whole: entry.value.raw) }
        }
    }

    /// The rows of the plan's counter tables, by their names.
    public var labels: [String: [String]] {
        Dictionary(plan.counters.map { ($0.name, $0.rows) }, uniquingKeysWith: { $1 })
    }
}
