// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// A rule: drops packets that meet all of its conditions. A condition that is nil is met by all.
public struct Rule: Codable, Sendable, Equatable {
    /// What its counters are called; its index unless given.
    public var name: String?
    public var source: IPPrefix?
    public var destination: IPPrefix?
    /// For IPv6 the protocol behind the extension headers.
    public var `protocol`: IPProtocol?
    /// Met only by packets whose ports can be seen: not by later fragments.
    public var sourcePort: NumberRange?
    public var destinationPort: NumberRange?
    /// Met only by packets whose flags can be seen.
    public var tcpFlags: FlagsMatch?
    /// Of the IP packet, its header included.
    public var length: NumberRange?
    /// Counts, and drops nothing: the packet is judged by what follows, as if the rule were not there.
    public var dryRun: Bool

    public init(
        name: String? = nil, source: IPPrefix? = nil, destination: IPPrefix? = nil, protocol: IPProtocol? = nil,
        sourcePort: NumberRange? = nil, destinationPort: NumberRange? = nil, tcpFlags: FlagsMatch? = nil,
        length: NumberRange? = nil, dryRun: Bool = false
    ) {
        self.name = name
        self.source = source
        self.destination = destination
        self.protocol = `protocol`
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.tcpFlags = tcpFlags
        self.length = length
        self.dryRun = dryRun
    }

    private enum CodingKeys: String, CodingKey {
        case name, source, destination, `protocol`, length
        case sourcePort = "source-port"
        case destinationPort = "destination-port"
        case tcpFlags = "tcp-flags"
        case dryRun = "dry-run"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decodeIfPresent(String.self, forKey: .name)
        source = try container.decodeIfPresent(IPPrefix.self, forKey: .source)
        destination = try container.decodeIfPresent(IPPrefix.self, forKey: .destination)
        `protocol` = try container.decodeIfPresent(IPProtocol.self, forKey: .protocol)
        sourcePort = try container.decodeIfPresent(PortRange.self, forKey: .sourcePort)?.range
        destinationPort = try container.decodeIfPresent(PortRange.self, forKey: .destinationPort)?.range
        tcpFlags = try container.decodeIfPresent(FlagsMatch.self, forKey: .tcpFlags)
        length = try container.decodeIfPresent(LengthRange.self, forKey: .length)?.range
        dryRun = try container.decodeIfPresent(Bool.self, forKey: .dryRun) ?? false
    }
}

extension Rule {
    /// The family that its addresses are of; nil when it has none, and is of both.
    var isIPv4: Bool? { (source ?? destination)?.isIPv4 }

    /// Whether its addresses, protocol and ports can all hold for one packet.
    func check() throws(StageError) {
        let ports = [("source-port", sourcePort), ("destination-port", destinationPort)]
        if [source?.isIPv4, destination?.isIPv4].compactMap(\.self).count == 2, source!.isIPv4 != destination!.isIPv4 {
            throw StageError(
                "\(destination!) is of another family than the rule's source, \(source!)", at: "destination")
        }
        if let isIPv4, let number = `protocol`?.number, number == (isIPv4 ? 58 : 1) {
            let (name, family, other) = isIPv4 ? ("icmpv6", "IPv4", "icmp") : ("icmp", "IPv6", "icmpv6")
            throw StageError("\(family) has no \(name); expected \(other)", at: "protocol")
        }
        for (key, range) in ports where range != nil {
            guard `protocol`?.hasPorts ?? true else {
                throw StageError("\(`protocol`!) has no ports; tcp, udp, udplite and sctp do", at: key)
            }
        }
        if tcpFlags != nil, let `protocol`, `protocol` != .tcp {
            throw StageError("\(`protocol`) has no TCP flags; leave the protocol out, or make it tcp", at: "tcp-flags")
        }
        if let name, !(1...64).contains(name.utf8.count) {
            throw StageError("a name has 1 to 64 bytes", at: "name")
        }
        guard conditions.isEmpty else { return }
        throw StageError(
            "has no condition and would drop every packet; if that is meant, write source: 0.0.0.0/0 and another with ::/0"
        )
    }

    /// Its conditions in words.
    var conditions: [String] {
        let parts: [(String, String?)] = [
            ("from", source?.description), ("to", destination?.description), ("protocol", `protocol`?.description),
            ("source port", sourcePort?.description), ("destination port", destinationPort?.description),
            ("flags", tcpFlags?.description), ("length", length?.description),
        ]
        return parts.compactMap { label, value in value.map { "\(label) \($0)" } }
    }
}
