// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Which sockets may be made, and what they have from the start.
public struct SocketPart: Codable, Sendable, Equatable {
    public var deny: [SocketClass]
    /// `SO_MARK`, by which routing rules and nftables tell their packets.
    public var mark: UInt32?
    /// `SO_PRIORITY`.
    public var priority: UInt32?

    public init(deny: [SocketClass] = [], mark: UInt32? = nil, priority: UInt32? = nil) {
        self.deny = deny
        self.mark = mark
        self.priority = priority
    }

    private enum CodingKeys: String, CodingKey {
        case deny, mark, priority
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        deny = try container.decodeIfPresent([SocketClass].self, forKey: .deny) ?? []
        mark = try container.decodeIfPresent(UInt32.self, forKey: .mark)
        priority = try container.decodeIfPresent(UInt32.self, forKey: .priority)
        for (index, one) in deny.enumerated() where deny[..<index].contains(one) {
            throw StageError("\"\(one.rawValue)\" is there twice", at: "deny[\(index)]")
        }
    }

    var labels: [String] { [Rules.defaultName] + deny.map(\.rawValue) }
}

/// Sockets by what they are; a rule each.
public enum SocketClass: String, Sendable, Equatable, CaseIterable {
    case raw, ping, tcp, udp, mptcp, sctp, udplite, ipv4, ipv6
}

extension SocketClass: Codable {
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        // What people will ask for; a rule that never holds would be worse than none.
        if ["packet", "unix", "netlink", "vsock", "bluetooth"].contains(text) {
            throw StageError(
                "\"\(text)\": the kernel asks of sockets of IPv4 and IPv6 only; keep a service from others by systemd's "
                    + "RestrictAddressFamilies=, or without CAP_NET_RAW")
        }
        guard let value = SocketClass(rawValue: text) else {
            let known = Self.allCases.map(\.rawValue).joined(separator: ", ")
            throw StageError("\"\(text)\" is none of: \(known)")
        }
        self = value
    }

    /// What the kernel's numbers of them are, an entry each kind: family, type and protocol; nil for any.
    var numbers: [(family: UInt32?, type: UInt32?, protocol: UInt32?)] {
        switch self {
        case .raw: [(nil, 3, nil)]
        case .ping: [(2, 2, 1), (10, 2, 58)]
        case .tcp: [(nil, 1, 6)]
        case .udp: [(nil, 2, 17)]
        case .mptcp: [(nil, 1, 262)]
        case .sctp: [(nil, nil, 132)]
        case .udplite: [(nil, 2, 136)]
        case .ipv4: [(2, nil, nil)]
        case .ipv6: [(10, nil, nil)]
        }
    }
}
