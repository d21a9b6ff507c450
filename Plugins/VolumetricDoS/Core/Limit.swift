// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A packet limit: so many a second, and so many at once after a pause.
public struct Limit: Codable, Sendable, Equatable {
    public var packetsPerSecond: UInt64
    public var burst: UInt64

    /// Both 1 to this many: an interval of 100 ns, which a clock in ns still tells well.
    public static let maximum: UInt64 = 10_000_000

    /// - Parameter burst: A second's worth unless given.
    public init(packetsPerSecond: UInt64, burst: UInt64? = nil) {
        self.packetsPerSecond = packetsPerSecond
        self.burst = burst ?? packetsPerSecond
    }

    enum CodingKeys: String, CodingKey {
        case burst
        case packetsPerSecond = "packets-per-second"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let rate = try container.decode(UInt64.self, forKey: .packetsPerSecond)
        self.init(packetsPerSecond: rate, burst: try container.decodeIfPresent(UInt64.self, forKey: .burst))
        try Self.check(rate, .packetsPerSecond)
        try Self.check(burst, .burst)
    }

    private static func check(_ value: UInt64, _ key: CodingKeys) throws(StageError) {
        guard (1...maximum).contains(value) else {
            throw StageError("\(value): expected 1 to \(maximum)", at: key.rawValue)
        }
    }

    /// Nanoseconds from one packet to the next.
    var interval: UInt64 { 1_000_000_000 / packetsPerSecond }
    /// How many nanoseconds early a packet may come.
    var tolerance: UInt64 { (burst - 1) * interval }

    var summary: String { "\(packetsPerSecond) packets a second, \(burst) at once" }
}

/// A limit that all sources of one prefix share.
public struct PrefixLimit: Codable, Sendable, Equatable {
    public var limit: Limit
    /// The prefix length of IPv4 sources.
    public var v4: Int
    /// The prefix length of IPv6 sources.
    public var v6: Int

    public init(_ limit: Limit, v4: Int = 24, v6: Int = 48) {
        self.limit = limit
        self.v4 = v4
        self.v6 = v6
    }

    private enum CodingKeys: String, CodingKey {
        case v4, v6
    }

    public init(from decoder: any Decoder) throws {
        limit = try Limit(from: decoder)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        v4 = try container.decodeIfPresent(Int.self, forKey: .v4) ?? 24
        v6 = try container.decodeIfPresent(Int.self, forKey: .v6) ?? 48
        guard (1...32).contains(v4) else {
            throw StageError("\(v4): a prefix length of IPv4 is here 1 to 32", at: "v4")
        }
        guard (1...128).contains(v6) else {
            throw StageError("\(v6): a prefix length of IPv6 is here 1 to 128", at: "v6")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        try limit.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(v4, forKey: .v4)
        try container.encode(v6, forKey: .v6)
    }
}
