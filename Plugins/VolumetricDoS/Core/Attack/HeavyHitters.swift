// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Ranks what the samples of the last seconds have most of.
struct HeavyHitters {
    let traffic: Traffic

    /// Of one row.
    private struct Rates {
        var packets = 0.0
        var bytes = 0.0
        var dropped = 0.0

        mutating func add(_ observation: Observation) {
            packets += observation.packets
            bytes += observation.packets * Double(observation.frameLength)
            if observation.outcome == .dropped { dropped += observation.packets }
        }
    }

    /// Prefixes are listed from this share on.
    private static let share = 0.01

    func table(_ question: TopQuestion) -> StageTable {
        switch question.subject {
        case .sources: prefixes("source", question.limit) { $0.sourceAddress }
        case .destinations: prefixes("destination", question.limit) { $0.destinationAddress }
        case .sourcePorts: ranking("source-port", question.limit) { $0.port(.sourcePort) }
        case .destinationPorts: ranking("destination-port", question.limit) { $0.port(.destinationPort) }
        case .protocols: ranking("protocol", question.limit) { $0.isIP ? IPProtocol($0.protocol).description : nil }
        case .lengths: ranking("length", question.limit) { $0.value(.length).map(String.init) }
        case .tcpFlags:
            ranking("tcp-flags", question.limit) { observation in
                observation.value(.tcpFlags).map { flags in
                    let text = FlagsMatch(set: TCPFlags(rawValue: UInt8(flags))).description
                    return text.isEmpty ? "none" : text
                }
            }
        case .packetTTLs: ranking("packet-ttl", question.limit) { $0.value(.ttl).map(String.init) }
        case .reasons: ranking("reason", question.limit) { Reason(rawValue: Int($0.reason))?.label }
        }
    }

    /// Single values; packets that have none of it are left out.
    private func ranking(_ name: String, _ limit: Int, _ key: (Observation) -> String?) -> StageTable {
        var rates: [String: Rates] = [:]
        for observation in traffic.samples {
            guard let key = key(observation) else { continue }
            rates[key, default: Rates()].add(observation)
        }
        let order = rates.sorted { ($0.value.packets, $1.key) > ($1.value.packets, $0.key) }
        return table(name, Array(order.prefix(limit)), left: order.count - limit)
    }

    /// Addresses with a share of the packets, then of what is left the /24 (or /64 of IPv6) with one, then the /16 and so
    /// on: each packet counts in the longest prefix that is listed.
    private func prefixes(_ name: String, _ limit: Int, _ address: (Observation) -> AddressBits) -> StageTable {
        var rest = traffic.samples.filter(\.isIP)
        let least = Self.share * rest.packets
        var found: [(key: String, value: Rates)] = []
        for level in 0..<PrefixLevels.count {
            var rates: [PrefixBits: Rates] = [:]
            for observation in rest {
                rates[PrefixLevels.prefix(address(observation), level), default: Rates()].add(observation)
            }
            rates = rates.filter { $0.value.packets >= least }
            found += rates.map { ($0.key.text, $0.value) }
            rest.removeAll { rates[PrefixLevels.prefix(address($0), level)] != nil }
        }
        if !rest.isEmpty {
            found.append(("others", rest.reduce(into: Rates()) { $0.add($1) }))
        }
        found.sort { ($0.value.packets, $1.key) > ($1.value.packets, $0.key) }
        return table(name, Array(found.prefix(limit)), left: found.count - limit)
    }

    private func table(_ name: String, _ rows: [(key: String, value: Rates)], left: Int) -> StageTable {
        let packets = traffic.samples.packets
        var notes = ["of the last \(Int(traffic.seconds.rounded())) s, by \(traffic.samples.count) samples"]
        if left > 0 { notes.append("\(left) more") }
        return StageTable(
            columns: [name, "packets-per-second", "bytes-per-second", "share", "dropped-per-second"],
            rows: rows.map { key, rates in
                [
                    .string(key), cell(rates.packets), cell(rates.bytes), .string(percent(rates.packets, of: packets)),
                    cell(rates.dropped),
                ]
            }, notes: notes)
    }

    private func cell(_ amount: Double) -> JSON { .integer(Int64((amount / traffic.seconds).rounded())) }
}

/// The prefix lengths that traffic is summed up by, the longest first.
enum PrefixLevels {
    private static let v4 = [32, 24, 16, 8]
    private static let v6 = [128, 64, 48, 32]
    static let count = v4.count

    static func prefix(_ address: AddressBits, _ level: Int) -> PrefixBits {
        PrefixBits(address, length: (address.isIPv4 ? v4 : v6)[level])
    }
}

/// As `12.3%`.
func percent(_ part: Double, of whole: Double) -> String {
    let tenths = whole > 0 ? Int((part / whole * 1000).rounded()) : 0
    return "\(tenths / 10).\(tenths % 10)%"
}

extension Observation {
    var isIP: Bool { family != 0 }

    /// As `udp/53`.
    fileprivate func port(_ feature: Feature) -> String? {
        value(feature).map { "\(IPProtocol(`protocol`))/\($0)" }
    }
}
