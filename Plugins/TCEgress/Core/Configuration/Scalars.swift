// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A value or a list of them.
struct OneOrMore<Value: Decodable>: Decodable {
    let values: [Value]

    init(from decoder: any Decoder) throws {
        guard var list = try? decoder.unkeyedContainer() else {
            values = [try Value(from: decoder)]
            return
        }
        var found: [Value] = []
        while !list.isAtEnd { found.append(try list.decode(Value.self)) }
        guard !found.isEmpty else { throw StageError("the list is empty; leave it out, or name one at least") }
        values = found
    }
}

extension KeyedDecodingContainer {
    func oneOrMore<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> [Value] {
        try decodeIfPresent(OneOrMore<Value>.self, forKey: key)?.values ?? []
    }
}

/// A protocol on top of IP, by name or number.
public struct IPProtocol: Codable, Sendable, Hashable, CustomStringConvertible {
    public let number: UInt8

    public init(_ number: UInt8) { self.number = number }

    public static let tcp = IPProtocol(6)
    public static let udp = IPProtocol(17)

    // A list, so that messages have them in order.
    private static let names: [(name: String, number: UInt8)] = [
        ("icmp", 1), ("igmp", 2), ("ipip", 4), ("tcp", 6), ("udp", 17), ("ipv6", 41), ("gre", 47), ("esp", 50),
        ("ah", 51), ("icmpv6", 58), ("ospf", 89), ("vrrp", 112), ("sctp", 132), ("udplite", 136),
    ]

    var hasPorts: Bool { [6, 17, 132, 136].contains(number) }

    public init(from decoder: any Decoder) throws {
        let text = try NumberOrText(from: decoder).text
        guard let number = Self.names.first(where: { $0.name == text })?.number ?? UInt8(text) else {
            let known = Self.names.map(\.name).joined(separator: ", ")
            throw StageError("\"\(text)\": expected a number of 0 to 255 or one of \(known)")
        }
        self.number = number
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public var description: String { Self.names.first { $0.number == number }?.name ?? String(number) }
}

/// Ports: `53`, `8000-8999`, `1024-`; several behind commas.
public struct Ports: Codable, Sendable, Hashable, CustomStringConvertible {
    /// In order; they neither overlap nor touch.
    public let ranges: [ClosedRange<UInt16>]

    public init(_ ranges: [ClosedRange<UInt16>]) {
        var joined: [ClosedRange<UInt16>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, Int(range.lowerBound) <= Int(last.upperBound) + 1 {
                joined[joined.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        self.ranges = joined
    }

    public init(_ port: UInt16) { self.init([port...port]) }

    public func contains(_ port: UInt16) -> Bool { ranges.contains { $0.contains(port) } }

    public init(from decoder: any Decoder) throws {
        let texts = try OneOrMore<NumberOrText>(from: decoder).values.flatMap {
            $0.text.split(separator: ",", omittingEmptySubsequences: false)
        }
        self.init(try texts.map { try Self.range($0.filter { $0 != " " }) })
    }

    private static func range(_ text: String) throws(StageError) -> ClosedRange<UInt16> {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let first = ends[0].isEmpty && ends.count == 2 && !ends[1].isEmpty ? 0 : UInt16(ends[0])
        let last = ends.count == 1 ? first : ends[1].isEmpty ? .max : UInt16(ends[1])
        guard let first, let last else {
            throw StageError("\"\(text)\": expected a port of 0 to 65535, or a range such as 1000-2000 or 1000-")
        }
        guard first <= last else { throw StageError("\"\(text)\": the range ends before it begins") }
        return first...last
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public var description: String {
        ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
    }
}

/// Bits of a packet's mark: `7`, `0x10`, or `0x10/0xf0` for those under a mask.
public struct Mark: Codable, Sendable, Hashable, CustomStringConvertible {
    public let value: UInt32
    public let mask: UInt32

    public init(_ value: UInt32, mask: UInt32 = .max) {
        self.value = value
        self.mask = mask
    }

    public init(from decoder: any Decoder) throws {
        let text = try NumberOrText(from: decoder).text
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(Self.number)
        guard (1...2).contains(parts.count), let value = parts[0], let mask = parts.count == 2 ? parts[1] : .max else {
            throw StageError("\"\(text)\": expected a mark such as 7 or 0x10, or 0x10/0xf0 with a mask")
        }
        guard mask != 0 else { throw StageError("\"\(text)\": the mask is 0, which leaves nothing of a mark") }
        guard value & ~mask == 0 else { throw StageError("\"\(text)\": has bits that its mask leaves out") }
        self.init(value, mask: mask)
    }

    private static func number(_ text: some StringProtocol) -> UInt32? {
        text.hasPrefix("0x") ? UInt32(text.dropFirst(2), radix: 16) : UInt32(text)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public var description: String {
        func hex(_ number: UInt32) -> String { "0x" + String(number, radix: 16) }
        return mask == .max ? hex(value) : "\(hex(value))/\(hex(mask))"
    }
}

/// A differentiated services code point: 0 to 63, or its name.
public struct CodePoint: Codable, Sendable, Hashable, CustomStringConvertible {
    public let number: UInt8

    public init(_ number: UInt8) { self.number = number }

    private static let names: [(name: String, number: UInt8)] =
        (0..<8).map { ("cs\($0)", UInt8($0 * 8)) }
        + (1...4).flatMap { c in (1...3).map { d in ("af\(c)\(d)", UInt8(c * 8 + d * 2)) } }
        + [("ef", 46), ("va", 44), ("le", 1), ("be", 0)]

    public init(from decoder: any Decoder) throws {
        let text = try NumberOrText(from: decoder).text
        guard let number = Self.names.first(where: { $0.name == text })?.number ?? UInt8(text), number < 64 else {
            throw StageError("\"\(text)\": expected a code point of 0 to 63, or a name such as cs1, af41, ef or be")
        }
        self.number = number
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(number)
    }

    public var description: String { Self.names.first { $0.number == number }?.name ?? String(number) }
}

/// How many samples a second: `100/s`, or 100.
public struct SampleRate: Codable, Sendable, Hashable, CustomStringConvertible {
    public let perSecond: Int

    public init(perSecond: Int) { self.perSecond = perSecond }

    public init(from decoder: any Decoder) throws {
        let text = try NumberOrText(from: decoder).text
        guard let count = Int(text.hasSuffix("/s") ? text.dropLast(2) : text[...]), (1...10_000).contains(count) else {
            throw StageError("\"\(text)\": expected 1/s to 10000/s")
        }
        perSecond = count
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public var description: String { "\(perSecond)/s" }
    var interval: UInt64 { 1_000_000_000 / UInt64(perSecond) }
}

/// How far ahead a packet may be paced: `500ms`, `2s`.
public struct Horizon: Codable, Sendable, Hashable, CustomStringConvertible {
    public let milliseconds: Int

    public init(milliseconds: Int) { self.milliseconds = milliseconds }

    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        let number = text.hasSuffix("ms") ? Int(text.dropLast(2)) : text.hasSuffix("s") ? Int(text.dropLast()) : nil
        let factor = text.hasSuffix("ms") ? 1 : 1000
        // The qdisc fq holds nothing back for longer than ten seconds, unless told to.
        guard let number, (1...10_000 / factor).contains(number) else {
            throw StageError("\"\(text)\": expected 1ms to 10s")
        }
        milliseconds = number * factor
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public var description: String {
        milliseconds.isMultiple(of: 1000) ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }
}
