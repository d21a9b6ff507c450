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
    /// Of the IP packet.
    public var length: UInt32

    public struct Ports: Sendable, Equatable {
        public var source: UInt16
        public var destination: UInt16

        public init(source: UInt16, destination: UInt16) {
            self.source = source
            self.destination = destination
        }
    }

    public init(
        source: IPAddress, destination: IPAddress, protocol: UInt8, ports: Ports? = nil, tcpFlags: TCPFlags? = nil,
        length: UInt32
    ) {
        self.source = source
        self.destination = destination
        self.protocol = `protocol`
        self.ports = ports
        self.tcpFlags = tcpFlags
        self.length = length
    }
}

extension Rule {
    /// Whether all conditions hold: what the program does with the packed rule, said plainly.
    public func matches(_ packet: PacketFacts) -> Bool {
        if let source, !source.contains(packet.source) { return false }
        if let destination, !destination.contains(packet.destination) { return false }
        if let `protocol`, `protocol`.number != packet.protocol { return false }
        if let sourcePort, !(packet.ports.map { sourcePort.contains(UInt32($0.source)) } ?? false) { return false }
        if let destinationPort, !(packet.ports.map { destinationPort.contains(UInt32($0.destination)) } ?? false) {
            return false
        }
        if let tcpFlags, !(packet.tcpFlags.map(tcpFlags.matches) ?? false) { return false }
        return length?.contains(packet.length) ?? true
    }
}

extension Configuration {
    /// The rule that drops the packet; nil if none does, or nothing is done to its source.
    public func droppingRule(_ packet: PacketFacts) -> Int? {
        guard !allow.contains(where: { $0.contains(packet.source) }) else { return nil }
        return rules.firstIndex { !$0.dryRun && $0.matches(packet) }
    }
}
