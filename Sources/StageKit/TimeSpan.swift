// SPDX-License-Identifier: Apache-2.0

/// How long something lasts: `30s`, `10m`, `2h` or `1d`; a number alone is of seconds.
public struct TimeSpan: Codable, Sendable, Hashable, CustomStringConvertible {
    public let seconds: Int64

    /// A year.
    static let longest: Int64 = 366 * 86_400
    private static let units: [(Character, Int64)] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)]

    public init(seconds: Int64) {
        self.seconds = seconds
    }

    public init(from decoder: any Decoder) throws {
        let text = try NumberOrText(from: decoder).text
        let named = Self.units.first { $0.0 == text.last }
        let unit = named ?? ("s", 1)
        guard let count = Int64(named == nil ? text[...] : text.dropLast()), count > 0, count <= Self.longest / unit.1
        else {
            throw StageError("\"\(text)\": expected a time such as 30s, 10m, 2h or 1d, of a year at most")
        }
        seconds = count * unit.1
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public var description: String {
        let unit = Self.units.first { seconds.isMultiple(of: $0.1) && seconds > 0 } ?? ("s", 1)
        return "\(seconds / unit.1)\(unit.0)"
    }
}
