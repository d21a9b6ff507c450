// SPDX-License-Identifier: Apache-2.0

internal import BPF
public import StageKit

extension StageUnderTest {
    /// What the plugin is shown of the stage: every entry of the plan's ``StagePlan/live`` maps.
    public func liveMaps() throws -> [String: [MapEntry]] {
        var maps: [String: [MapEntry]] = [:]
        for name in plan.live {
            let map = try object.loadedMap(name)
            var entries: [MapEntry] = []
            var key = try map.key(after: nil)
            while let found = key {
                let value =
                    map.type.isPerCPU ? try map.lookupPerCPU(key: found)?.flatMap(\.self) : try map.lookup(key: found)
                if let value { entries.append(MapEntry(key: Bytes(found), value: Bytes(value))) }
                key = try map.key(after: found)
            }
            maps[name] = entries
        }
        return maps
    }

    /// Does what the plugin's `change` says, as the manager does.
    public func make(_ change: StageChange) throws {
        for update in change.updates {
            let map = try object.loadedMap(update.map)
            for entry in update.entries {
                guard map.type.isPerCPU else {
                    try map.update(key: entry.key.raw, value: entry.value.raw)
                    continue
                }
                let size = entry.value.raw.count / BPFMap.possibleCPUs
                let values = (0..<BPFMap.possibleCPUs).map { Array(entry.value.raw[$0 * size..<($0 + 1) * size]) }
                try map.update(key: entry.key.raw, values: values)
            }
        }
    }

    /// The rows of the plan's counter tables, by their names.
    public var labels: [String: [String]] {
        Dictionary(plan.counters.map { ($0.name, $0.rows) }, uniquingKeysWith: { $1 })
    }
}
