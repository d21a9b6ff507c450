// SPDX-License-Identifier: Apache-2.0

/// A value of a stage's own counters. In JSON a number, or for a time a string, null for never.
public enum StatsValue: Sendable, Hashable, ExpressibleByIntegerLiteral {
    case count(UInt64)
    /// ISO 8601, UTC; nil for never.
    case time(String?)

    public init(integerLiteral value: UInt64) { self = .count(value) }
}

extension StatsValue: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .time(nil)
        } else if let text = try? container.decode(String.self) {
            self = .time(text)
        } else {
            self = .count(try container.decode(UInt64.self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .count(let count): try container.encode(count)
        case .time(let time?): try container.encode(time)
        case .time(nil): try container.encodeNil()
        }
    }
}
