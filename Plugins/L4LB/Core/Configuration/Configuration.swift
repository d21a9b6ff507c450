// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// What an operator writes under `config:` of the stage.
public struct Configuration: Codable, Sendable, Equatable {
    public var director: Director
    /// UDP port of the tunnel.
    public var guePort: UInt16
    public var servers: [Server]
    public var pools: [Pool]
    public var services: [Service]
    /// The server that this very machine is; nil when it is none, and only directs.
    public var local: String?
    /// Answers pings of VIPs.
    public var icmpEcho: Bool
    /// The first three bits of connection ids that name a server, see ``Service/quic``.
    public var quicConfig: UInt8

    /// The port that Foo-over-UDP's GUE has by RFC draft and Linux.
    public static let standardGUEPort: UInt16 = 6080

    public init(
        director: Director = Director(), guePort: UInt16 = standardGUEPort, servers: [Server] = [], pools: [Pool] = [],
        services: [Service] = [], local: String? = nil, icmpEcho: Bool = true, quicConfig: UInt8 = 0
    ) {
        self.director = director
        self.guePort = guePort
        self.servers = servers
        self.pools = pools
        self.services = services
        self.local = local
        self.icmpEcho = icmpEcho
        self.quicConfig = quicConfig
    }

    private enum CodingKeys: String, CodingKey {
        case director, servers, pools, services, local
        case guePort = "gue-port"
        case icmpEcho = "icmp-echo"
        case quicConfig = "quic-config"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        director = try container.decodeIfPresent(Director.self, forKey: .director) ?? Director()
        guePort = try container.decodeIfPresent(UInt16.self, forKey: .guePort) ?? Self.standardGUEPort
        servers = try container.decode([Server].self, forKey: .servers)
        pools = try container.decode([Pool].self, forKey: .pools)
        services = try container.decode([Service].self, forKey: .services)
        local = try container.decodeIfPresent(String.self, forKey: .local)
        icmpEcho = try container.decodeIfPresent(Bool.self, forKey: .icmpEcho) ?? true
        quicConfig = try container.decodeIfPresent(UInt8.self, forKey: .quicConfig) ?? 0
    }
}

/// How packets leave the director.
public struct Director: Codable, Sendable, Equatable {
    /// Where packets to servers go on the link.
    public enum Route: String, Codable, Sendable, CaseIterable {
        /// As the kernel's routes and neighbours say.
        case kernel
        /// To whoever sent them: a router on a stick.
        case back
    }

    /// The outer source address to servers with an address of that family.
    public var sourceV4: IPAddress?
    public var sourceV6: IPAddress?
    /// The longest packet that the way to the servers takes, outer headers included.
    public var mtu: Int
    public var route: Route
    /// How many senders of packets that are too big each CPU tells in a second.
    public var tooBigRate: UInt32
    /// Makes the hash of flows another one; all directors of a VIP must have the same.
    public var hashSeed: UInt64
    /// Source ports that are left to health checks through the tunnel.
    public var checkPorts: PortRange

    public static let standardMTU = 1500
    /// Above those that Linux gives to clients unless told otherwise (`net.ipv4.ip_local_port_range`).
    public static let standardCheckPorts = PortRange(61000, 65535)
    public static let standardTooBigRate: UInt32 = 100

    public init(
        sourceV4: IPAddress? = nil, sourceV6: IPAddress? = nil, mtu: Int = standardMTU, route: Route = .kernel,
        tooBigRate: UInt32 = standardTooBigRate, hashSeed: UInt64 = 0, checkPorts: PortRange = standardCheckPorts
    ) {
        self.sourceV4 = sourceV4
        self.sourceV6 = sourceV6
        self.mtu = mtu
        self.route = route
        self.tooBigRate = tooBigRate
        self.hashSeed = hashSeed
        self.checkPorts = checkPorts
    }

    private enum CodingKeys: String, CodingKey {
        case sourceV4 = "source-v4"
        case sourceV6 = "source-v6"
        case mtu, route
        case tooBigRate = "too-big-rate"
        case hashSeed = "hash-seed"
        case checkPorts = "check-ports"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        sourceV4 = try container.decodeIfPresent(Address.self, forKey: .sourceV4)?.address(isIPv4: true)
        sourceV6 = try container.decodeIfPresent(Address.self, forKey: .sourceV6)?.address(isIPv4: false)
        mtu = try container.decodeIfPresent(Int.self, forKey: .mtu) ?? Self.standardMTU
        route = try container.decodeIfPresent(Route.self, forKey: .route) ?? .kernel
        tooBigRate = try container.decodeIfPresent(UInt32.self, forKey: .tooBigRate) ?? Self.standardTooBigRate
        hashSeed = try container.decodeIfPresent(UInt64.self, forKey: .hashSeed) ?? 0
        checkPorts = try container.decodeIfPresent(PortRange.self, forKey: .checkPorts) ?? Self.standardCheckPorts
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(sourceV4?.description, forKey: .sourceV4)
        try container.encodeIfPresent(sourceV6?.description, forKey: .sourceV6)
        try container.encode(mtu, forKey: .mtu)
        try container.encode(route, forKey: .route)
        try container.encode(tooBigRate, forKey: .tooBigRate)
        try container.encode(hashSeed, forKey: .hashSeed)
        try container.encode(checkPorts, forKey: .checkPorts)
    }
}
