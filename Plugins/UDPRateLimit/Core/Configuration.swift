// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// What an operator writes under `config:`.
public struct Configuration: Codable, Sendable, Equatable {
    /// The destination ports that are limited; nil for all.
    public var ports: PortSet?
    public var policies: [Policy]
    /// How many buckets there are in the table that policies share; a power of two.
    public var buckets: Int
    public var whenFull: WhenFull

    /// What becomes of a packet to an address that there is no place for in that table.
    public enum WhenFull: String, Codable, Sendable, CaseIterable {
        case pass, drop
    }

    public static let standardBuckets = 131_072
    /// More than these are refused.
    public static let maximumPolicies = 1024
    public static let maximumDestinations = 65536
    /// Addresses with buckets of their own, and prefixes with a limit.
    public static let maximumOwnBuckets = 1 << 20

    public init(
        ports: PortSet? = nil, policies: [Policy], buckets: Int = standardBuckets, whenFull: WhenFull = .pass
    ) {
        self.ports = ports
        self.policies = policies
        self.buckets = buckets
        self.whenFull = whenFull
    }

    private enum CodingKeys: String, CodingKey {
        case ports, policies, buckets
        case whenFull = "when-full"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            ports: try container.decodeIfPresent(PortSet.self, forKey: .ports),
            policies: try container.decode([Policy].self, forKey: .policies),
            buckets: try container.decodeIfPresent(Int.self, forKey: .buckets) ?? Self.standardBuckets,
            whenFull: try container.decodeIfPresent(WhenFull.self, forKey: .whenFull) ?? .pass)
    }
}

/// Ports, each a number or a range: `[53, 8000-8010]`.
public struct PortSet: Codable, Sendable, Equatable {
    public var ranges: [ClosedRange<UInt16>]

    public init(_ ranges: [ClosedRange<UInt16>]) {
        self.ranges = ranges
    }

    public init(from decoder: any Decoder) throws {
        let items = try decoder.singleValueContainer().decode([NumberOrText].self)
        guard !items.isEmpty else { throw StageError("expected ports; all are limited when it is left out") }
        ranges = try items.map { item in
            let ends = item.text.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
            guard ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil, 0 < first, first <= last
            else { throw StageError("\"\(item.text)\": expected a port such as 53, or a range such as 8000-8010") }
            return first...last
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(texts)
    }

    var texts: [String] { ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" } }

    func contains(_ port: UInt16) -> Bool { ranges.contains { $0.contains(port) } }

    /// A bit a port: the `ports` of bpf/udp-ratelimit/maps.h.
    var bitmap: Bytes {
        var words = [UInt64](repeating: 0, count: 1024)
        for port in ranges.joined() { words[Int(port >> 6)] |= 1 << UInt64(port & 63) }
        var bytes = Bytes()
        for word in words { bytes.append(word) }
        return bytes
    }
}
