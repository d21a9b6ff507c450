// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// What an operator writes under `config:` of the stage: the policy of one service, for all hooks of its cgroup. Which part
/// a stage uses follows from the kind of its hook.
public struct Configuration: Codable, Sendable, Equatable {
    public enum Mode: String, Codable, Sendable, CaseIterable {
        /// What is denied is counted and reported, and goes on.
        case audit
        case enforce
    }

    public var mode: Mode
    /// Where processes may connect to.
    public var connect: Rules?
    /// Where they may send to without a connection; nil for the same as under ``connect``.
    public var send: Rules?
    /// What they may bind.
    public var bind: Rules?
    /// Destinations that stand for others.
    public var rewrite: [Rewrite]
    /// Packets that their sockets get.
    public var ingress: Rules?
    /// Packets that their sockets send.
    public var egress: Rules?
    /// Options of their TCP connections.
    public var sockops: ConnectionOptions?
    /// Which sockets they may make, and what those have from the start.
    public var sockCreate: SocketPart?
    /// How many denials are reported a second, of each rule; 0 for none.
    public var reportsPerSecond: Int

    public static let standardReports = 10

    public init(
        mode: Mode, connect: Rules? = nil, send: Rules? = nil, bind: Rules? = nil, rewrite: [Rewrite] = [],
        ingress: Rules? = nil, egress: Rules? = nil, sockops: ConnectionOptions? = nil, sockCreate: SocketPart? = nil,
        reportsPerSecond: Int = standardReports
    ) {
        self.mode = mode
        self.connect = connect
        self.send = send
        self.bind = bind
        self.rewrite = rewrite
        self.ingress = ingress
        self.egress = egress
        self.sockops = sockops
        self.sockCreate = sockCreate
        self.reportsPerSecond = reportsPerSecond
    }

    private enum CodingKeys: String, CodingKey {
        case mode, connect, send, bind, rewrite, ingress, egress, sockops
        case sockCreate = "sock-create"
        case reportsPerSecond = "reports-per-second"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func rules<Kind: RuleKind>(_ key: CodingKeys, _: Kind.Type) throws -> Rules? {
            try container.decodeIfPresent(RulesReader<Kind>.self, forKey: key)?.rules
        }
        mode = try container.decode(Mode.self, forKey: .mode)
        connect = try rules(.connect, OfDestinations.self)
        send = try rules(.send, OfDestinations.self)
        bind = try rules(.bind, OfBounds.self)
        rewrite = try container.decodeIfPresent([Rewrite].self, forKey: .rewrite) ?? []
        ingress = try rules(.ingress, OfSources.self)
        egress = try rules(.egress, OfTargets.self)
        sockops = try container.decodeIfPresent(ConnectionOptions.self, forKey: .sockops)
        sockCreate = try container.decodeIfPresent(SocketPart.self, forKey: .sockCreate)
        reportsPerSecond =
            try container.decodeIfPresent(Int.self, forKey: .reportsPerSecond) ?? Self.standardReports
        guard (0...1000).contains(reportsPerSecond) else {
            throw StageError("\(reportsPerSecond): expected 0 to 1000", at: CodingKeys.reportsPerSecond.rawValue)
        }
        try Rewrite.check(rewrite, at: "rewrite")
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        func encode<Kind: RuleKind>(_ rules: Rules?, _: Kind.Type, _ key: CodingKeys) throws {
            try container.encodeIfPresent(rules.map { RulesReader<Kind>(rules: $0) }, forKey: key)
        }
        try container.encode(mode, forKey: .mode)
        try encode(connect, OfDestinations.self, .connect)
        try encode(send, OfDestinations.self, .send)
        try encode(bind, OfBounds.self, .bind)
        try container.encode(rewrite, forKey: .rewrite)
        try encode(ingress, OfSources.self, .ingress)
        try encode(egress, OfTargets.self, .egress)
        try container.encodeIfPresent(sockops, forKey: .sockops)
        try container.encodeIfPresent(sockCreate, forKey: .sockCreate)
        try container.encode(reportsPerSecond, forKey: .reportsPerSecond)
    }
}
