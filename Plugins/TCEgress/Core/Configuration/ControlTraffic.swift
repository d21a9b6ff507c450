// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// What is never limited: a protocol by its name, or packets that are like that.
public enum ControlTraffic: Codable, Sendable, Hashable {
    case named(String)
    /// `port` may be on either side; `remote` is the other side's prefix.
    case custom(protocol: IPProtocol, port: Ports?, remote: [IPPrefix])

    /// What each name stands for. ARP and neighbour discovery are never limited, named or not.
    private static let names: [(name: String, parts: [(protocol: UInt8, ports: Ports?)])] = [
        ("arp", []), ("ndp", []),
        ("bfd", [(17, Ports([3784...3785, 4784...4784]))]),
        ("bgp", [(6, Ports(179))]),
        ("dhcp", [(17, Ports([67...68, 546...547]))]),
        ("dns", [(17, Ports(53)), (6, Ports(53))]),
        ("icmp", [(1, nil), (58, nil)]),
        ("igmp", [(2, nil)]),
        ("ntp", [(17, Ports(123))]),
        ("ospf", [(89, nil)]),
        ("ssh", [(6, Ports(22))]),
        ("vrrp", [(112, nil)]),
    ]

    private enum CodingKeys: String, CodingKey {
        case port, remote
        case protocols = "protocol"
    }

    public init(from decoder: any Decoder) throws {
        if let name = try? decoder.singleValueContainer().decode(String.self) {
            guard Self.names.contains(where: { $0.name == name }) else {
                let known = Self.names.map(\.name).joined(separator: ", ")
                throw StageError(
                    "\"\(name)\": expected one of \(known), or { protocol: tcp, port: 179, remote: 192.0.2.0/24 }")
            }
            self = .named(name)
            return
        }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let kind = try container.decode(IPProtocol.self, forKey: .protocols)
        let ports = try container.decodeIfPresent(Ports.self, forKey: .port)
        if ports != nil, !kind.hasPorts { throw StageError("\(kind) has no ports", at: "port") }
        self = .custom(
            protocol: kind, port: ports, remote: try container.oneOrMore(IPPrefix.self, forKey: .remote))
    }

    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .named(let name):
            var container = encoder.singleValueContainer()
            try container.encode(name)
        case .custom(let kind, let ports, let remote):
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(kind, forKey: .protocols)
            try container.encodeIfPresent(ports, forKey: .port)
            if !remote.isEmpty { try container.encode(remote, forKey: .remote) }
        }
    }

    /// Any of these is enough.
    /// - Parameter isIngress: whether the other side is the source.
    public func conditions(isIngress: Bool) -> [Conditions] {
        let (parts, remote): ([(UInt8, Ports?)], [IPPrefix]) =
            switch self {
            case .named(let name): (Self.names.first { $0.name == name }?.parts ?? [], [])
            case .custom(let kind, let ports, let remote): ([(kind.number, ports)], remote)
            }
        return parts.flatMap { number, ports in
            var base = Conditions()
            base.protocols = [IPProtocol(number)]
            if isIngress { base.source = remote } else { base.destination = remote }
            guard let ports else { return [base] }
            var (from, to) = (base, base)
            from.sourcePort = ports
            to.destinationPort = ports
            return [from, to]
        }
    }

    var summary: String {
        switch self {
        case .named(let name): return name
        case .custom(let kind, let ports, let remote):
            let with = remote.isEmpty ? "" : " with \(remote.map(\.description).joined(separator: ", "))"
            return kind.description + (ports.map { " port \($0)" } ?? "") + with
        }
    }
}
