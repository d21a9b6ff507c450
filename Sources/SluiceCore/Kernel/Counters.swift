// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// The rows of `sluice_counters`, as bpf/include/sluice/xdp_stage.h numbers them.
enum CounterRow {
    static let names = ["aborted", "drop", "pass", "tx", "redirect", "next", "invalid", "fallthrough"]
    static let count = names.count
    static let `fallthrough` = UInt32(count - 1)
    /// Rows that count a packet a second time: those of `next` whose slot was empty.
    static let extra: Set = ["fallthrough"]
}

extension GenerationDirectory {
    /// Its stages, with what they have seen where they count.
    func stages(_ manifest: Manifest) throws -> [StageStatus] {
        try manifest.stages.enumerated().map { index, stage in
            StageStatus(stage.record, counters: manifest.counters ? try counters(index + 1) : nil)
        }
    }

    /// What stage `k` has seen, summed over the CPUs.
    func counters(_ k: Int) throws -> StageCounters {
        let map = try BPFMap.pinned(at: map(k, "sluice_counters"))
        var counters = StageCounters(packets: 0, bytes: 0, verdicts: [:])
        for (index, name) in CounterRow.names.enumerated() {
            guard let row = try map.counters(at: UInt32(index)) else { continue }
            counters.verdicts[name] = Count(packets: row[0], bytes: row[1])
            if !CounterRow.extra.contains(name) {
                counters.packets += row[0]
                counters.bytes += row[1]
            }
        }
        return counters
    }

    /// One of the stage's own tables, read as its plan declares it.
    func table(_ table: CounterTable, of k: Int, statePin: (String) -> String?) throws -> StatsTable {
        let clock = Clock()
        let rows = zip(table.rows, try values(of: table, of: k, statePin: statePin)).map { label, values in
            StatsRow(
                label: label,
                values: zip(table.columns, values).map { column, value in
                    table.times.contains(column) ? .time(clock.text(of: value)) : .count(value)
                })
        }
        return StatsTable(name: table.name, columns: table.columns, rows: rows)
    }

    /// The values of one of the stage's own tables, a row each; times as the kernel has them.
    func values(of table: CounterTable, of k: Int, statePin: (String) -> String?) throws -> [[UInt64]] {
        let map = try BPFMap.pinned(at: statePin(table.map) ?? map(k, table.map))
        let latest = Set(table.columns.indices.filter { table.times.contains(table.columns[$0]) })
        return try table.rows.indices.map { try map.counters(at: UInt32($0), latest: latest) ?? [] }
    }
}
