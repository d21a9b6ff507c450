// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// A rule: says what becomes of packets that meet all of its conditions. A condition that is nil is met by all.
public struct Rule: Codable, Sendable, Equatable {
    public enum Action: String, Codable, Sendable, CaseIterable {
        case drop
        /// The packet goes on, past the rules and limits behind.
        case pass
        /// Nothing but count: the rules behind decide.
        case count
        /// What is over the rule's limit is dropped; the rest is past the rules, and left to the stage's limits.
        case limit
    }

    /// What its counters are called; its index unless given.
    public var name: String?
    public var source: IPPrefix?
    public var destination: IPPrefix?
    /// For IPv6 the protocol behind the extension headers.
    public var `protocol`: IPProtocol?
    /// Met only by packets whose ports can be seen: not by later fragments.
    public var sourcePort: NumberSet?
    public var destinationPort: NumberSet?
    /// Met only by packets whose flags can be seen.
    public var tcpFlags: FlagsMatch?
    /// Met only by packets whose ICMP or ICMPv6 header can be seen.
    public var icmpType: NumberSet?
    public var icmpCode: NumberSet?
    /// Of the IP packet, its header included; 65535 for all that is longer.
    public var length: NumberSet?
    /// Or hop limit.
    public var ttl: NumberSet?
    public var dscp: NumberSet?
    public var fragment: Fragment?
    /// The outer tag, or the only one.
    public var vlan: NumberSet?
    /// The second tag.
    public var innerVLAN: NumberSet?
    public var payload: PayloadMatch?
    public var action: Action
    /// Of ``Action/limit``.
    public var limit: Limit?
    /// Matches no more when it has been live for so long, or from a moment on. At most one of them.
    public var lifetime: TimeSpan?
    public var end: Moment?
    /// The share of its packets that become samples.
    public var sample: Share?
    /// Counts, and decides nothing: the packet is judged by what follows, as if the rule were not there.
    public var dryRun: Bool

    public init(
        name: String? = nil, source: IPPrefix? = nil, destination: IPPrefix? = nil, protocol: IPProtocol? = nil,
        sourcePort: NumberSet? = nil, destinationPort: NumberSet? = nil, tcpFlags: FlagsMatch? = nil,
        length: NumberSet? = nil, action: Action = .drop, dryRun: Bool = false
    ) {
        self.name = name
        self.source = source
        self.destination = destination
        self.protocol = `protocol`
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.tcpFlags = tcpFlags
        self.length = length
        self.action = action
        self.dryRun = dryRun
    }

    private enum CodingKeys: String, CodingKey {
        case name, source, destination, `protocol`, length, dscp, fragment, vlan, payload, action
        case ttl = "packet-ttl"
        case sourcePort = "source-port"
        case destinationPort = "destination-port"
        case tcpFlags = "tcp-flags"
        case icmpType = "icmp-type"
        case icmpCode = "icmp-code"
        case innerVLAN = "inner-vlan"
        case dryRun = "dry-run"
        case limit, sample
        case lifetime = "ttl"
        case end = "until"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decodeIfPresent(String.self, forKey: .name)
        source = try container.decodeIfPresent(IPPrefix.self, forKey: .source)
        destination = try container.decodeIfPresent(IPPrefix.self, forKey: .destination)
        `protocol` = try container.decodeIfPresent(IPProtocol.self, forKey: .protocol)
        sourcePort = try container.numbers(.sourcePort, PortKind.self)
        destinationPort = try container.numbers(.destinationPort, PortKind.self)
        tcpFlags = try container.decodeIfPresent(FlagsMatch.self, forKey: .tcpFlags)
        icmpType = try container.numbers(.icmpType, ByteKind.self)
        icmpCode = try container.numbers(.icmpCode, ByteKind.self)
        length = try container.numbers(.length, LengthKind.self)
        ttl = try container.numbers(.ttl, ByteKind.self)
        dscp = try container.numbers(.dscp, ServiceKind.self)
        fragment = try container.decodeIfPresent(Fragment.self, forKey: .fragment)
        vlan = try container.numbers(.vlan, VLANKind.self)
        innerVLAN = try container.numbers(.innerVLAN, VLANKind.self)
        payload = try container.decodeIfPresent(PayloadMatch.self, forKey: .payload)
        limit = try container.decodeIfPresent(RuleLimit.self, forKey: .limit)?.limit
        action = try container.decodeIfPresent(Action.self, forKey: .action) ?? (limit == nil ? .drop : .limit)
        lifetime = try container.decodeIfPresent(TimeSpan.self, forKey: .lifetime)
        end = try container.decodeIfPresent(Moment.self, forKey: .end)
        sample = try container.decodeIfPresent(Share.self, forKey: .sample)
        dryRun = try container.decodeIfPresent(Bool.self, forKey: .dryRun) ?? false
    }
}

/// A limit whose bucket is the rule's own unless the configuration says.
private struct RuleLimit: Decodable {
    let limit: Limit

    init(from decoder: any Decoder) throws {
        limit = try Limit(from: decoder, per: .all)
    }
}

/// Whether a packet is a fragment, and which.
public enum Fragment: String, Codable, Sendable, CaseIterable {
    case first, later
    /// Either of these.
    case any
    /// A whole packet.
    case no
}

extension Rule {
    /// The family that its addresses are of; nil when it has none, and is of both.
    var isIPv4: Bool? { (source ?? destination)?.isIPv4 }

    /// Whether it decides what becomes of a packet that meets its conditions, and no rule behind it does.
    var decides: Bool { action != .count && !dryRun }

    /// Whether it does so for good.
    var alwaysDecides: Bool { decides && lifetime == nil && end == nil }

    /// When it ends, in seconds since 1970; nil for never.
    func expiry(at time: Int64) -> Int64? { end?.seconds ?? lifetime.map { time + $0.seconds } }
}
