// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// What clients connect to.
public struct Service: Codable, Sendable, Equatable {
    public enum Transport: String, Codable, Sendable, CaseIterable {
        case tcp, udp

        /// Its number in an IP header.
        public var number: UInt8 { self == .tcp ? 6 : 17 }
    }

    public var name: String
    public var vip: IPPrefix
    public var `protocol`: Transport
    public var ports: PortRange
    /// By its name.
    public var pool: String
    /// Follows connection ids that name a server, and falls back to the hash.
    public var quic: Bool

    public init(
        name: String, vip: IPPrefix, protocol: Transport, ports: PortRange, pool: String, quic: Bool = false
    ) {
        self.name = name
        self.vip = vip
        self.protocol = `protocol`
        self.ports = ports
        self.pool = pool
        self.quic = quic
    }

    private enum CodingKeys: String, CodingKey {
        case name, vip, `protocol`, pool, quic
        case ports = "port"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        vip = try container.decode(IPPrefix.self, forKey: .vip)
        `protocol` = try container.decode(Transport.self, forKey: .protocol)
        ports = try container.decode(PortRange.self, forKey: .ports)
        pool = try container.decode(String.self, forKey: .pool)
        quic = try container.decodeIfPresent(Bool.self, forKey: .quic) ?? false
    }
}

/// A port, a range of them, both ends in it, or all: `80`, `8000-8100`, `all`.
public struct PortRange: Codable, Sendable, Hashable, CustomStringConvertible {
    public let first: UInt16
    public let last: UInt16

    public static let all = PortRange(0, 65535)

    /// - Precondition: `first` is not above `last`.
    public init(_ first: UInt16, _ last: UInt16) {
        precondition(first <= last)
        self.first = first
        self.last = last
    }

    public init(_ port: UInt16) { self.init(port, port) }

    public init(from decoder: any Decoder) throws {
        let text = try NumberOrText(from: decoder).text
        if text == "all" {
            self = .all
            return
        }
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { UInt16($0) }
        guard let first = ends[0], let last = ends[ends.count - 1], first > 0 else {
            throw StageError("\"\(text)\": expected a port of 1 to 65535, a range such as 8000-8100, or all")
        }
        guard first <= last else { throw StageError("\"\(text)\": the range ends before it begins") }
        self.init(first, last)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public func overlaps(_ other: PortRange) -> Bool { first <= other.last && other.first <= last }

    var isRange: Bool { first != last }

    var count: Int { Int(last) - Int(first) + 1 }

    public func contains(_ port: UInt16) -> Bool { first <= port && port <= last }

    public var description: String {
        self == .all ? "all" : first == last ? "\(first)" : "\(first)-\(last)"
    }
}
