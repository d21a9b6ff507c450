// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// Ranks what the samples of the last seconds have most of.
public struct Ranking<Packet: WeighedPacket> {
    public let traffic: Traffic<Packet>

    public init(_ traffic: Traffic<Packet>) { self.traffic = traffic }

    /// Of one row.
    private struct Rates {
        var packets = 0.0
        var bytes = 0.0
        var dropped = 0.0

        mutating func add(_ packet: Packet) {
            packets += packet.packets
            bytes += packet.packets * Double(packet.frameLength)
            if packet.isDropped { dropped += packet.packets }
        }
    }

    private typealias Row = (key: [String], value: Rates)

    /// Prefixes are listed from this share on.
    private var share: Double { 0.01 }

    /// By single values; packets that have none of it are left out.
    public func table(of name: String, _ limit: Int, _ key: (Packet) -> String?) -> StageTable {
        table(of: [name], limit, key) { [$0] }
    }

    /// By several columns together.
    /// - Parameter text: What stands in the columns for a key.
    public func table<Key: Hashable>(
        of names: [String], _ limit: Int, _ key: (Packet) -> Key?, text: (Key) -> [String]
    ) -> StageTable {
        var rates: [Key: Rates] = [:]
        for packet in traffic.samples {
            guard let key = key(packet) else { continue }
            rates[key, default: Rates()].add(packet)
        }
        return table(names, rates.map { (text($0.key), $0.value) }, limit)
    }

    /// Addresses with a share of the packets, then of what is left the /24 (or /64 of IPv6) with one, then the /16 and so
    /// on: each packet counts in the longest prefix that is listed. Packets without address are left out.
    public func prefixes(of name: String, _ limit: Int, _ address: (Packet) -> AddressBits?) -> StageTable {
        var rest = traffic.samples.compactMap { packet in address(packet).map { (packet, $0) } }
        let least = share * rest.reduce(0) { $0 + $1.0.packets }
        var found: [Row] = []
        for level in 0..<PrefixLevels.count {
            var rates: [PrefixBits: Rates] = [:]
            for (packet, address) in rest {
                rates[PrefixLevels.prefix(address, level), default: Rates()].add(packet)
            }
            rates = rates.filter { $0.value.packets >= least }
            found += rates.map { ([$0.key.text], $0.value) }
            rest.removeAll { rates[PrefixLevels.prefix($0.1, level)] != nil }
        }
        if !rest.isEmpty {
            found.append((["others"], rest.reduce(into: Rates()) { $0.add($1.0) }))
        }
        return table([name], found, limit)
    }

    private func table(_ names: [String], _ rows: [Row], _ limit: Int) -> StageTable {
        let packets = traffic.samples.packets
        let order = rows.sorted {
            $0.value.packets != $1.value.packets
                ? $0.value.packets > $1.value.packets : $0.key.lexicographicallyPrecedes($1.key)
        }
        var notes = ["of the last \(Int(traffic.seconds.rounded())) s, by \(traffic.samples.count) samples"]
        if order.count > limit { notes.append("\(order.count - limit) more") }
        return StageTable(
            columns: names + ["packets-per-second", "bytes-per-second", "share", "dropped-per-second"],
            rows: order.prefix(limit).map { key, rates in
                key.map { .string($0) } + [
                    cell(rates.packets), cell(rates.bytes), .string(percent(rates.packets, of: packets)),
                    cell(rates.dropped),
                ]
            }, notes: notes)
    }

    private func cell(_ amount: Double) -> JSON { .integer(Int64((amount / traffic.seconds).rounded())) }
}

/// As `12.3%`.
public func percent(_ part: Double, of whole: Double) -> String {
    let tenths = whole > 0 ? Int((part / whole * 1000).rounded()) : 0
    return "\(tenths / 10).\(tenths % 10)%"
}
