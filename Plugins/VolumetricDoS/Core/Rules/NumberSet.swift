// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Numbers, as ranges that neither overlap nor touch: `123`, `1000-2000`, `53,123,1000-`, or a list of these.
public struct NumberSet: Codable, Sendable, Hashable, CustomStringConvertible {
    public let ranges: [NumberRange]

    public init(_ ranges: [NumberRange]) {
        var joined: [NumberRange] = []
        for range in ranges.sorted(by: { $0.first < $1.first }) {
            if let last = joined.last, range.first <= last.last || range.first == last.last &+ 1 {
                joined[joined.count - 1] = NumberRange(last.first, max(last.last, range.last))
            } else {
                joined.append(range)
            }
        }
        self.ranges = joined
    }

    /// - Precondition: `first` is not above `last`.
    public init(_ first: UInt32, _ last: UInt32) {
        self.init([NumberRange(first, last)])
    }

    public func contains(_ number: UInt32) -> Bool { ranges.contains { $0.contains(number) } }

    var first: UInt32? { ranges.first?.first }

    public var description: String { ranges.map(\.description).joined(separator: ",") }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// For Codable's sake; what the numbers are says ``Numbers``.
    public init(from decoder: any Decoder) throws {
        self = try Self.read(decoder, of: "a number", maximum: .max - 1)
    }

    /// - Parameters:
    ///   - thing: What one of the numbers is, for the error: `a port`.
    ///   - maximum: The end of a range without one, and the largest number there is.
    fileprivate static func read(_ decoder: any Decoder, of thing: String, maximum: UInt32) throws -> NumberSet {
        let parts: [String]
        if var list = try? decoder.unkeyedContainer() {
            var found: [String] = []
            while !list.isAtEnd { found.append(try list.decode(NumberOrText.self).text) }
            parts = found
        } else {
            parts = try NumberOrText(from: decoder).text.split(separator: ",", omittingEmptySubsequences: false)
                .map { $0.trimmingSpaces }
        }
        guard !parts.isEmpty else { throw StageError("expected \(thing) at least") }
        return NumberSet(try parts.map { text in try NumberRange(text, of: thing, maximum: maximum) })
    }
}

/// What a set of numbers in a configuration is of.
protocol NumberKind {
    static var thing: String { get }
    static var maximum: UInt32 { get }
}

enum PortKind: NumberKind {
    static let thing = "a port"
    static let maximum: UInt32 = 65535
}

/// What is longer counts as this long.
enum LengthKind: NumberKind {
    static let thing = "a length"
    static let maximum: UInt32 = 65535
}

enum ByteKind: NumberKind {
    static let thing = "a number"
    static let maximum: UInt32 = 255
}

enum ServiceKind: NumberKind {
    static let thing = "a code point"
    static let maximum: UInt32 = 63
}

enum VLANKind: NumberKind {
    static let thing = "a VLAN"
    static let maximum: UInt32 = 4095
}

/// A set of numbers as a configuration has it.
struct Numbers<Kind: NumberKind>: Decodable {
    let set: NumberSet

    init(from decoder: any Decoder) throws {
        set = try NumberSet.read(decoder, of: Kind.thing, maximum: Kind.maximum)
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}

extension KeyedDecodingContainer {
    func numbers<Kind: NumberKind>(_ key: Key, _: Kind.Type) throws -> NumberSet? {
        try decodeIfPresent(Numbers<Kind>.self, forKey: key)?.set
    }
}
