// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// What rules look at in a packet.
public struct PacketFacts: Sendable, Equatable {
    public var source: IPAddress
    public var destination: IPAddress
    public var `protocol`: UInt8
    /// Nil where they cannot be seen.
    public var ports: Ports?
    public var tcpFlags: TCPFlags?
    public var icmp: ICMP?
    /// Of the IP packet; 65535 for all that is longer.
    public var length: UInt32
    /// Or hop limit.
    public var ttl: UInt8
    public var dscp: UInt8
    /// Never `any`.
    public var fragment: Fragment
    /// The outer tag's, and the inner one's.
    public var vlans: [UInt16]
    /// What follows the transport header; nil where that cannot be seen.
    public var payload: [UInt8]?

    public struct Ports: Sendable, Equatable {
        public var source: UInt16
        public var destination: UInt16

        public init(source: UInt16, destination: UInt16) {
            self.source = source
            self.destination = destination
        }
    }

    public struct ICMP: Sendable, Equatable {
        public var type: UInt8
        public var code: UInt8

        public init(type: UInt8, code: UInt8) {
            self.type = type
            self.code = code
        }
    }

    public init(
        source: IPAddress, destination: IPAddress, protocol: UInt8, ports: Ports? = nil, tcpFlags: TCPFlags? = nil,
        length: UInt32, ttl: UInt8 = 64, dscp: UInt8 = 0, fragment: Fragment = .no, vlans: [UInt16] = []
    ) {
        self.source = source
        self.destination = destination
        self.protocol = `protocol`
        self.ports = ports
        self.tcpFlags = tcpFlags
        self.length = length
        self.ttl = ttl
        self.dscp = dscp
        self.fragment = fragment
        self.vlans = vlans
    }
}
