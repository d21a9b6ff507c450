// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// So many datagrams a second, and so many at once after a pause.
public struct Rate: Codable, Sendable, Equatable {
    public var packetsPerSecond: UInt64
    public var burst: UInt64

    /// An interval of 100 ns, which a clock in ns still tells to within a hundredth.
    public static let maximum: UInt64 = 10_000_000
    /// Seconds that an empty bucket may take to fill.
    static let longestBurst: UInt64 = 1000

    /// - Parameter burst: A second's worth unless given.
    public init(packetsPerSecond: UInt64, burst: UInt64? = nil) {
        self.packetsPerSecond = packetsPerSecond
        self.burst = burst ?? packetsPerSecond
    }

    private enum CodingKeys: String, CodingKey {
        case burst
        case packetsPerSecond = "packets-per-second"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            packetsPerSecond: try container.decode(UInt64.self, forKey: .packetsPerSecond),
            burst: try container.decodeIfPresent(UInt64.self, forKey: .burst))
        guard (1...Self.maximum).contains(packetsPerSecond) else {
            throw StageError(
                "\(packetsPerSecond): expected 1 to \(Self.maximum)", at: CodingKeys.packetsPerSecond.rawValue)
        }
        guard (1...packetsPerSecond * Self.longestBurst).contains(self.burst) else {
            throw StageError(
                "\(self.burst): expected 1 to \(packetsPerSecond * Self.longestBurst), which is what comes in "
                    + "\(Self.longestBurst) seconds", at: CodingKeys.burst.rawValue)
        }
    }

    var summary: String { "\(packetsPerSecond) packets a second, \(burst) at once" }
}

/// A rate of each source prefix at each destination.
public struct SourceRate: Codable, Sendable, Equatable {
    public var rate: Rate
    /// Prefix lengths.
    public var v4: Int
    public var v6: Int
    /// From which part of the destination's burst on, used up, it is asked for; 0 for always. In hundredths.
    public var from: Int

    public static let (standardV4, standardV6, standardFrom) = (24, 48, 50)

    public init(_ rate: Rate, v4: Int = standardV4, v6: Int = standardV6, from: Int = standardFrom) {
        (self.rate, self.v4, self.v6, self.from) = (rate, v4, v6, from)
    }

    private enum CodingKeys: String, CodingKey {
        case v4, v6, from
    }

    public init(from decoder: any Decoder) throws {
        rate = try Rate(from: decoder)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        v4 = try container.decodeIfPresent(Int.self, forKey: .v4) ?? Self.standardV4
        v6 = try container.decodeIfPresent(Int.self, forKey: .v6) ?? Self.standardV6
        let text = try container.decodeIfPresent(NumberOrText.self, forKey: .from)?.text ?? "\(Self.standardFrom)%"
        guard (1...32).contains(v4) else {
            throw StageError("\(v4): a prefix length of IPv4 is here 1 to 32", at: "v4")
        }
        guard (1...128).contains(v6) else {
            throw StageError("\(v6): a prefix length of IPv6 is here 1 to 128", at: "v6")
        }
        guard text.last == "%", let part = Int(text.dropLast()), (0...100).contains(part) else {
            throw StageError("\"\(text)\": expected a whole part of 0% to 100%", at: "from")
        }
        from = part
    }

    public func encode(to encoder: any Encoder) throws {
        try rate.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(v4, forKey: .v4)
        try container.encode(v6, forKey: .v6)
        try container.encode("\(from)%", forKey: .from)
    }
}
