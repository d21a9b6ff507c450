// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A protocol on top of IP, by name or number.
public struct IPProtocol: Codable, Sendable, Hashable, CustomStringConvertible {
    public let number: UInt8

    public init(_ number: UInt8) {
        self.number = number
    }

    public static let icmp = IPProtocol(1)
    public static let tcp = IPProtocol(6)
    public static let udp = IPProtocol(17)
    public static let icmpv6 = IPProtocol(58)
    public static let sctp = IPProtocol(132)
    public static let udplite = IPProtocol(136)

    // A list, so that messages have them in order.
    private static let names: [(name: String, number: UInt8)] = [
        ("icmp", 1), ("igmp", 2), ("ipip", 4), ("tcp", 6), ("udp", 17), ("ipv6", 41), ("gre", 47), ("esp", 50),
        ("ah", 51), ("icmpv6", 58), ("ospf", 89), ("sctp", 132), ("udplite", 136),
    ]

    var hasPorts: Bool { [.tcp, .udp, .udplite, .sctp].contains(self) }

    public var description: String {
        Self.names.first { $0.number == number }?.name ?? String(number)
    }

    public init(from decoder: any Decoder) throws {
        let text = try NumberOrText(from: decoder).text
        if let named = Self.names.first(where: { $0.name == text }) {
            number = named.number
        } else if let value = UInt8(text) {
            number = value
        } else {
            let known = Self.names.map(\.name).joined(separator: ", ")
            throw StageError("\"\(text)\": expected a number of 0 to 255 or one of \(known)")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
