// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Servers that share the packets of a service.
public struct Pool: Codable, Sendable, Equatable {
    /// How packets get to its servers.
    public enum Encapsulation: String, Codable, Sendable, CaseIterable {
        /// In UDP, with the next hops: no planned change breaks a connection.
        case gue
        /// Plain IP in IP: 4in4, 6in4, 4in6 or 6in6.
        case ipip
        /// The Ethernet address is rewritten and nothing else; servers are on the link.
        case direct

        /// Whether a packet names further servers that may know its connection.
        var namesHops: Bool { self == .gue }
    }

    /// What a flow is known by.
    public enum Hash: String, Codable, Sendable, CaseIterable {
        case fiveTuple = "5-tuple"
        case source
    }

    public var name: String
    /// By their names.
    public var servers: [String]
    public var encapsulation: Encapsulation
    public var hash: Hash
    /// Of its forwarding table; a power of two.
    public var entries: Int
    /// Nil for none: its servers are up until somebody says otherwise.
    public var check: HealthCheck?

    public static let standardEntries = 65536

    /// What its forwarding table depends on, besides the servers' weights.
    struct Table: Hashable {
        var servers: Set<String>
        var entries: Int
    }

    var table: Table { Table(servers: Set(servers), entries: entries) }

    public init(
        name: String, servers: [String], encapsulation: Encapsulation = .gue, hash: Hash = .fiveTuple,
        entries: Int = standardEntries, check: HealthCheck? = nil
    ) {
        self.name = name
        self.servers = servers
        self.encapsulation = encapsulation
        self.hash = hash
        self.entries = entries
        self.check = check
    }

    private enum CodingKeys: CodingKey {
        case name, servers, encapsulation, hash, entries, check
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        servers = try container.decode([String].self, forKey: .servers)
        encapsulation = try container.decodeIfPresent(Encapsulation.self, forKey: .encapsulation) ?? .gue
        hash = try container.decodeIfPresent(Hash.self, forKey: .hash) ?? .fiveTuple
        entries = try container.decodeIfPresent(Int.self, forKey: .entries) ?? Self.standardEntries
        check = try container.decodeIfPresent(HealthCheck.self, forKey: .check)
    }
}
