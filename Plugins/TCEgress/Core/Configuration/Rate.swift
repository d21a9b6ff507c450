// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// So much a second: `100Mbit`, `1.5Gbit`, `10k packets`.
public struct Rate: Codable, Sendable, Hashable, CustomStringConvertible {
    public enum Unit: Sendable, Hashable {
        case packets, bytes
    }

    public let unit: Unit
    /// Packets or bytes.
    public let perSecond: UInt64

    /// 400 Gbit/s.
    static let maximumBytes: UInt64 = 50_000_000_000
    /// 8 kbit/s: slower, a single train of segments would be an hour's worth.
    static let minimumBytes: UInt64 = 1000
    static let maximumPackets: UInt64 = 10_000_000

    public init(_ unit: Unit, perSecond: UInt64) {
        self.unit = unit
        self.perSecond = perSecond
    }

    public static func megabits(_ count: UInt64) -> Rate { Rate(.bytes, perSecond: count * 125_000) }
    public static func packets(_ count: UInt64) -> Rate { Rate(.packets, perSecond: count) }

    /// - Throws: ``StageError`` when `text` is no rate, or one that is too low or too high.
    public init(_ text: String) throws(StageError) {
        var rest = text.filter { $0 != " " }
        if rest.hasSuffix("/s") { rest.removeLast(2) }
        let units: [(suffix: String, unit: Unit)] = [("packets", .packets), ("pps", .packets), ("bit", .bytes)]
        guard let (suffix, unit) = units.first(where: { rest.hasSuffix($0.suffix) }),
            let count = scaled(rest.dropLast(suffix.count)), count.isFinite
        else {
            throw StageError("\"\(text)\": expected a rate such as 100Mbit, 1.5Gbit or 10k packets")
        }
        let perSecond = unit == .bytes ? count / 8 : count
        let range =
            unit == .bytes ? Double(Self.minimumBytes)...Double(Self.maximumBytes) : 1...Double(Self.maximumPackets)
        guard range.contains(perSecond) else {
            throw StageError(
                unit == .bytes
                    ? "\"\(text)\": expected 8kbit to 400Gbit" : "\"\(text)\": expected 1 to 10000k packets")
        }
        self.init(unit, perSecond: UInt64(perSecond.rounded()))
    }

    public init(from decoder: any Decoder) throws {
        try self.init(NumberOrText(from: decoder).text)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public var description: String {
        switch unit {
        case .packets: perSecond.isMultiple(of: 1000) ? "\(perSecond / 1000)k packets" : "\(perSecond) packets"
        case .bytes: Self.bits(perSecond * 8)
        }
    }

    private static func bits(_ count: UInt64) -> String {
        let units: [(String, UInt64)] = [("Gbit", 1_000_000_000), ("Mbit", 1_000_000), ("kbit", 1000), ("bit", 1)]
        let (name, size) = units.first { count.isMultiple(of: $0.1) }!
        return "\(count / size)\(name)"
    }

    /// Nanoseconds from one packet or byte to the next, times 2^20 (`SLUICE_COST_SHIFT`).
    var cost: UInt64 { (1_000_000_000 << 20) / perSecond }
}

/// A number with `k`, `M` or `G` behind it, or nothing; nil for what is none.
private func scaled(_ text: Substring) -> Double? {
    let factors: [Character: Double] = ["k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9]
    let factor = text.last.flatMap { factors[$0] }
    let digits = factor == nil ? text : text.dropLast()
    guard digits.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let count = Double(digits) else {
        return nil
    }
    return count * (factor ?? 1)
}

/// What is let through of a class, and what is dropped.
public struct Police: Codable, Sendable, Hashable {
    public var rate: Rate
    /// Packets or bytes that may come at once after a pause. Of bytes, what is left lets one packet through, whatever its
    /// length.
    public var burst: UInt64

    /// Seconds that an empty bucket may take to fill.
    private static let longestBurst: UInt64 = 1000

    /// - Parameter burst: What comes in a twentieth of a second unless given, 128 KiB or 16 packets at least.
    public init(_ rate: Rate, burst: UInt64? = nil) {
        self.rate = rate
        self.burst = burst ?? max(rate.perSecond / 20, rate.unit == .bytes ? 131_072 : 16)
    }

    private enum CodingKeys: String, CodingKey { case rate, burst }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let rate = try container.decode(Rate.self, forKey: .rate)
        let text = try container.decodeIfPresent(NumberOrText.self, forKey: .burst)?.text
        let most = rate.perSecond * Self.longestBurst
        let burst = try text.map { text in
            guard let burst = Self.amount(text, of: rate.unit), (1...most).contains(burst) else {
                throw StageError(
                    rate.unit == .bytes
                        ? "\"\(text)\": expected bytes, such as 256kB or 1MB, at most what comes in 1000 seconds"
                        : "\"\(text)\": expected a number of packets, at most what comes in 1000 seconds",
                    at: CodingKeys.burst.rawValue)
            }
            return burst
        }
        self.init(rate, burst: burst)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(rate, forKey: .rate)
        try container.encode(burst, forKey: .burst)
    }

    private static func amount(_ text: String, of unit: Rate.Unit) -> UInt64? {
        var rest = text.filter { $0 != " " }
        if unit == .packets, rest.hasSuffix("packets") { rest.removeLast(7) }
        if unit == .bytes, rest.hasSuffix("B") { rest.removeLast() }
        guard let count = scaled(rest[...]), count >= 1, count < 1e15 else { return nil }
        return UInt64(count.rounded())
    }

    /// How many nanoseconds early a packet may come.
    var tolerance: UInt64 {
        let (high, low) = (burst - 1).multipliedFullWidth(by: rate.cost)
        return high << (64 - 20) | low >> 20
    }

    /// How many nanoseconds off it can put its cell: by the largest train, and a second for clocks that differ.
    var reach: UInt64 { tolerance + ((rate.unit == .bytes ? rate.cost << 20 : rate.cost) >> 20) + 1_000_000_000 }
}
