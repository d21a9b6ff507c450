// SPDX-License-Identifier: Apache-2.0

public import StageKit

extension LiveRates {
    /// What can be shown: `{"list": "rules"}`, `{"top": "destinations"}` and `{"top": "sources"}`.
    private struct Question: Decodable {
        enum List: String, Decodable, CaseIterable {
            case rules
        }

        enum Top: String, Decodable, CaseIterable {
            case destinations, sources
        }

        var list: List?
        var top: Top?
    }

    /// Shows what the rates are, or who was over them most.
    public static func inspect(_ request: InspectRequest) throws -> StageTable {
        let question = try request.request.decode(Question.self)
        switch (question.list, question.top) {
        case (.rules?, nil): return rates(request)
        case (nil, let top?): return try Ranking(request).table(of: top == .sources)
        default: throw StageError("expected either \"list\" or \"top\"")
        }
    }

    private static let columns =
        ["policy", "from", "per-address", "per-prefix", "per-source", "ends"] + PolicyCounts.columns

    private static func rates(_ request: InspectRequest) -> StageTable {
        let configured = configured(request.maps)
        let overrides = Overrides(request.maps, in: request.context)
        let rows: [[JSON]] = (request.labels["policies"] ?? []).enumerated().map { index, name in
            let over = overrides[name]
            let limits = (configured[index] ?? Limits()).overridden(by: over?.limits ?? Limits())
            let counts = request.counters["policies"]?.dropFirst(index).first ?? []
            return [.string(name), .string(over == nil ? "config" : "live")]
                + [limits.address, limits.prefix, limits.source].map(cell)
                + [over?.end.map { .string(Moment(seconds: $0).description) } ?? .null]
                + PolicyCounts.columns.indices.map { $0 < counts.count ? .unsigned(counts[$0]) : .null }
        }
        return StageTable(columns: columns, rows: rows)
    }

    private static func cell(_ rate: Rate?) -> JSON {
        rate.map { .string("\($0.packetsPerSecond)/s, \($0.burst) at once") } ?? .null
    }
}

/// Who had most packets over a limit, since the generation went live.
struct Ranking {
    private struct Row {
        var name: String
        var policy: String?
        /// At most, and at least.
        var packets: UInt64
        var least: UInt64
    }

    private let layout: Layout
    private let policies: [String]
    private let maps: [String: [MapEntry]]

    private static let most = 100
    /// The sizes of a `struct udp_offender` and a `struct udp_offenders`.
    private static let offenderSize = 48

    init(_ request: InspectRequest) throws {
        let configuration = try request.configuration.decode(Configuration.self)
        layout = Layout(configuration)
        policies = configuration.policies.map(\.name)
        maps = request.maps
    }

    func table(of sources: Bool) throws -> StageTable {
        let all = (sources ? [] : own) + offenders(ofSources: sources)
        let rows = all.sorted { ($1.packets, $0.name) < ($0.packets, $1.name) }
        let notes = rows.count > Self.most ? ["and \(rows.count - Self.most) more, with fewer packets each"] : []
        return StageTable(
            columns: sources ? ["source", "packets", "at-least"] : ["destination", "policy", "packets", "at-least"],
            rows: rows.prefix(Self.most).map { row in
                [.string(row.name)] + (sources ? [] : [row.policy.map { .string($0) } ?? .null])
                    + [.unsigned(row.packets), .unsigned(row.least)]
            }, notes: notes)
    }

    /// Addresses with buckets of their own, which are counted exactly.
    private var own: [Row] {
        var rows: [Row] = []
        let addresses = OwnAddresses(layout)
        for entry in maps[LiveMaps.drops] ?? [] where entry.value.raw.count == Layout.group * 8 {
            let first = Int(entry.key.number(as: UInt32.self)) * Layout.group
            for index in 0..<Layout.group {
                let packets: UInt64 = entry.value.number(at: index * 8)
                guard packets > 0, let (address, policy) = addresses[first + index] else { continue }
                rows.append(
                    Row(name: address.description, policy: policies[policy], packets: packets, least: packets))
            }
        }
        return rows
    }

    private func offenders(ofSources: Bool) -> [Row] {
        (maps[LiveMaps.offenders] ?? []).flatMap { entry in
            stride(from: 0, through: entry.value.raw.count - Self.offenderSize, by: Self.offenderSize).compactMap {
                offender(entry.value, at: $0, isSource: ofSources)
            }
        }
    }

    private func offender(_ bytes: Bytes, at offset: Int, isSource: Bool) -> Row? {
        let (tag, packets, before): (UInt64, UInt64, UInt64) = (
            bytes.number(at: offset), bytes.number(at: offset + 8), bytes.number(at: offset + 16)
        )
        // In the order of enum udp_offender_kind.
        let (kind, length): (UInt32, UInt32) = (bytes.number(at: offset + 40), bytes.number(at: offset + 44))
        guard tag != 0, (kind == 0) == isSource, length <= 128 else { return nil }
        let raw = Array(bytes.raw[(offset + 24)..<(offset + 40)])
        let isIPv4 = raw.starts(with: IPAddress(bytes: [0, 0, 0, 0]).mapped.prefix(12)) && length >= 96
        let address = IPAddress(bytes: isIPv4 ? Array(raw.dropFirst(12)) : raw)
        let bits = Int(length) - (isIPv4 ? 96 : 0)
        return Row(
            name: isSource ? IPPrefix(address, length: bits).description : address.description,
            policy: isSource ? nil : layout.policy(of: address).map { policies[$0] }, packets: packets,
            least: packets >= before ? packets - before : 0)
    }
}
