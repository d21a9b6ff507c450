// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// A range of numbers, both ends in it: `123`, `1000-2000`, `1000-` or `-1023`.
public struct NumberRange: Codable, Sendable, Hashable, CustomStringConvertible {
    public let first: UInt32
    public let last: UInt32

    /// - Precondition: `first` is not above `last`.
    public init(_ first: UInt32, _ last: UInt32) {
        precondition(first <= last)
        self.first = first
        self.last = last
    }

    /// - Parameter maximum: The end of a range without one, and the largest number there is.
    /// - Throws: ``StageError`` when `text` is no range within 0 to `maximum`.
    public init(_ text: String, of thing: String, maximum: UInt32) throws(StageError) {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let first = ends[0].isEmpty && ends.count == 2 && !ends[1].isEmpty ? 0 : UInt32(ends[0])
        let last = ends.count == 1 ? first : ends[1].isEmpty ? maximum : UInt32(ends[1])
        guard let first, let last, last <= maximum else {
            throw StageError("\"\(text)\": expected \(thing) of 0 to \(maximum), or a range such as 1000-2000 or 1000-")
        }
        guard first <= last else { throw StageError("\"\(text)\": the range ends before it begins") }
        self.first = first
        self.last = last
    }

    public func contains(_ number: UInt32) -> Bool { first <= number && number <= last }

    public var description: String { first == last ? "\(first)" : "\(first)-\(last)" }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public init(from decoder: any Decoder) throws {
        try self.init(NumberOrText(from: decoder).text, of: "a number", maximum: .max - 1)
    }
}
