// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI

/// What became of the packets of both sides of a canary.
struct CanaryCounts: Codable, Equatable {
    var stable: StageCounters
    var tried: StageCounters

    static func - (now: CanaryCounts, before: CanaryCounts) -> CanaryCounts {
        CanaryCounts(stable: now.stable - before.stable, tried: now.tried - before.tried)
    }
}

extension StageCounters {
    static func - (now: StageCounters, before: StageCounters) -> StageCounters {
        var rest = now
        // Nobody counts backwards; but what is read from the kernel is not to be trusted with a crash.
        rest.packets -= min(before.packets, now.packets)
        rest.bytes -= min(before.bytes, now.bytes)
        for (verdict, count) in before.verdicts {
            guard var value = rest.verdicts[verdict] else { continue }
            value.packets -= min(count.packets, value.packets)
            value.bytes -= min(count.bytes, value.bytes)
            rest.verdicts[verdict] = value
        }
        return rest
    }
}

extension HookDirectory {
    /// What both sides have given since the canary began: verdicts as the splitter saw them, and with the stages'
    /// counters the packets that found an empty slot within a chain.
    func canaryCounts() throws -> CanaryCounts {
        let map = try BPFMap.pinned(at: canary.counts)
        let manifest = try canary.manifest()
        return CanaryCounts(
            stable: try side(0, of: map, generation: manifest.stable, before: manifest.fallenBefore),
            tried: try side(1, of: map, generation: manifest.candidate, before: 0))
    }

    private func side(
        _ side: Int, of map: borrowing BPFMap, generation: Int, before: UInt64
    ) throws -> StageCounters {
        var counters = StageCounters(packets: 0, bytes: 0, verdicts: [:])
        for (row, name) in Self.rows.enumerated() {
            guard let count = try map.counters(at: UInt32(side * Self.rows.count + row)) else { continue }
            counters.verdicts[name] = Count(packets: count[0], bytes: count[1])
            counters.packets += count[0]
            counters.bytes += count[1]
        }
        let fallen = try fallenThrough(generation)
        counters.verdicts["fallthrough"]?.packets += fallen - min(fallen, before)
        return counters
    }

    /// The packets that found an empty slot behind a stage of a generation; 0 without counters.
    func fallenThrough(_ number: Int) throws -> UInt64 {
        let generation = generation(number)
        let manifest = try Manifest(pinnedAt: generation.meta)
        guard manifest.counters else { return 0 }
        return try manifest.stages.indices.reduce(0) {
            let map = try BPFMap.pinned(at: generation.map($1 + 1, "sluice_counters"))
            return $0 + (try map.counters(at: CounterRow.fallthrough)?[0] ?? 0)
        }
    }

    /// The rows of a side, as the splitter numbers them.
    private static let rows = ["aborted", "drop", "pass", "tx", "redirect", "fallthrough"]
}
