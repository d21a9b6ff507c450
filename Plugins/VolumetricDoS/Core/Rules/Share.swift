// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A part of all: `1%`, `0.5%` or `0.005`.
public struct Share: Codable, Sendable, Hashable, CustomStringConvertible {
    /// Above 0, at most 1.
    public let value: Double

    public init(_ value: Double) {
        self.value = value
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text: String
        if let number = try? container.decode(Double.self) {
            text = "\(number)"
        } else {
            text = try container.decode(String.self)
        }
        let number = text.last == "%" ? Double(text.dropLast()).map { $0 / 100 } : Double(text)
        guard let number, number > 0, number <= 1 else {
            throw StageError("\"\(text)\": expected a share such as 1% or 0.01, above 0 and at most 100%")
        }
        value = number
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public var description: String { "\(value * 100)%" }

    /// Of 2^32 packets, at least one.
    var threshold: UInt32 { max(1, UInt32(value * Double(UInt32.max))) }
}
