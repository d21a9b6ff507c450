// SPDX-License-Identifier: Apache-2.0

public import StageKit

extension LiveRules {
    /// What can be shown: `{"list": "rules"}`.
    private struct Question: Decodable {
        enum List: String, Decodable, CaseIterable {
            case rules
        }

        var list: List
    }

    private static let columns = [
        "name", "from", "action", "conditions", "ends", "packets", "bytes", "dry-run", "last",
    ]

    /// All rules, in the order that they are tried in.
    public static func inspect(_ request: InspectRequest) throws -> StageTable {
        _ = try request.request.decode(Question.self)
        let configured = try request.configuration["rules"]?.decode([Rule].self) ?? []
        let live = LiveRules(request.maps, in: request.context)
        let counters = Self.byIndex(request.maps[LiveMaps.counters]) { Self.counts($0, in: request.context) }
        let expiries = Self.byIndex(request.maps[LiveMaps.expiries]) { $0.number(as: UInt64.self) }
        var rows = live.inUse.filter { !live.isOver($0.rule) }.map { place, rule in
            row(
                rule.rule.name ?? "", "live", rule.rule, ends: rule.rule.end?.description,
                counters[place] ?? [0, 0, 0, 0])
        }
        let labels = request.labels["rules"] ?? []
        for (rank, rule) in configured.enumerated() {
            let expiry = Int64(expiries[rank, default: 0] / 1_000_000_000)
            let ends: String? =
                switch expiry {
                case 0 where expiries[rank, default: 0] == 0: nil
                case 0: "removed"
                case ...(request.context.time + request.context.taiOffset): "over"
                default: Moment(seconds: expiry - request.context.taiOffset).description
                }
            let counted = request.counters["rules"]?.dropFirst(rank).first ?? [0, 0, 0, 0]
            rows.append(row(rank < labels.count ? labels[rank] : "", "config", rule, ends: ends, counted))
        }
        return StageTable(columns: columns, rows: rows)
    }

    private static func row(
        _ name: String, _ origin: String, _ rule: Rule, ends: String?, _ counts: [UInt64]
    ) -> [JSON] {
        var verb = rule.limit.map { "limit \($0.summary)" } ?? rule.action.rawValue
        if rule.dryRun { verb += " (dry run)" }
        let last: JSON = counts[3] == 0 ? .null : .string(Moment(seconds: Int64(counts[3])).description)
        return [
            .string(name), .string(origin), .string(verb), .string(rule.conditions.joined(separator: ", ")),
            ends.map { .string($0) } ?? .null,
        ] + counts[..<3].map { .integer(Int64($0)) } + [last]
    }

    private static func byIndex<Value>(_ entries: [MapEntry]?, _ value: (Bytes) -> Value) -> [Int: Value] {
        (entries ?? []).reduce(into: [:]) { values, entry in
            if let index = entry.key.index { values[index] = value(entry.value) }
        }
    }

    /// A `struct dos_rule_count` of each CPU: the sums, and when it last counted, in seconds since 1970.
    private static func counts(_ value: Bytes, in context: PlanContext) -> [UInt64] {
        var counts: [UInt64] = [0, 0, 0, 0]
        for start in stride(from: 0, to: value.raw.count - countSize + 1, by: countSize) {
            for column in 0..<4 {
                let number: UInt64 = value.number(at: start + column * 8)
                counts[column] = column == 3 ? max(counts[3], number) : counts[column] + number
            }
        }
        if counts[3] != 0 {
            let ago = (Int64(bitPattern: context.monotonic) - Int64(bitPattern: counts[3])) / 1_000_000_000
            counts[3] = UInt64(max(1, context.time - ago))
        }
        return counts
    }
}
