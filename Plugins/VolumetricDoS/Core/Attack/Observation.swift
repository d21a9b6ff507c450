// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples
internal import StageKit

/// A sampled packet as it is kept: 64 bytes, and quick to match.
struct Observation: WeighedPacket {
    var source: UInt128
    var destination: UInt128
    /// How many packets it stands for.
    var packets: Double
    var sourcePort: UInt16
    var destinationPort: UInt16
    /// Of the IP packet.
    var length: UInt16
    var frameLength: UInt16
    /// 4 or 6; 0 for what has no IP header.
    var family: UInt8
    var `protocol`: UInt8
    var ttl: UInt8
    var tcpFlags: UInt8
    var icmpType: UInt8
    private var known: Known
    var fragment: FragmentNumber
    var reason: UInt8

    private struct Known: OptionSet {
        let rawValue: UInt8
        static let ports = Known(rawValue: 1)
        static let flags = Known(rawValue: 2)
        static let icmp = Known(rawValue: 4)
    }

    enum FragmentNumber: UInt8 {
        case no, first, later
    }

    init(_ sample: PacketSample, packets: Double) {
        let facts = sample.facts
        source = facts.map { AddressBits($0.source).bits } ?? 0
        destination = facts.map { AddressBits($0.destination).bits } ?? 0
        self.packets = packets
        sourcePort = facts?.ports?.source ?? 0
        destinationPort = facts?.ports?.destination ?? 0
        length = UInt16(min(65535, facts?.length ?? 0))
        frameLength = sample.length
        family = facts.map { $0.source.isIPv4 ? 4 : 6 } ?? 0
        `protocol` = facts?.protocol ?? 0
        ttl = facts?.ttl ?? 0
        tcpFlags = facts?.tcpFlags?.rawValue ?? 0
        icmpType = facts?.icmp?.type ?? 0
        known = []
        if facts?.ports != nil { known.insert(.ports) }
        if facts?.tcpFlags != nil { known.insert(.flags) }
        if facts?.icmp != nil { known.insert(.icmp) }
        fragment =
            switch facts?.fragment {
            case .first: .first
            case .later: .later
            default: .no
            }
        reason = UInt8(sample.reason.rawValue)
    }

    var isIPv4: Bool { family == 4 }
    var sourceAddress: AddressBits { AddressBits(bits: source, isIPv4: isIPv4) }
    var destinationAddress: AddressBits { AddressBits(bits: destination, isIPv4: isIPv4) }
    var isDropped: Bool { outcome == .dropped }
    var outcome: Reason.Outcome { Reason(rawValue: Int(reason))?.outcome ?? .exempt }

    /// A field that rules can ask for; nil where the packet has not got it, or it cannot be seen.
    func value(_ feature: Feature) -> UInt32? {
        guard family != 0 else { return nil }
        return switch feature {
        case .protocol: UInt32(`protocol`)
        case .fragment: UInt32(fragment.rawValue)
        case .sourcePort: known.contains(.ports) ? UInt32(sourcePort) : nil
        case .destinationPort: known.contains(.ports) ? UInt32(destinationPort) : nil
        case .tcpFlags: known.contains(.flags) ? UInt32(tcpFlags) : nil
        case .icmpType: known.contains(.icmp) ? UInt32(icmpType) : nil
        case .length: UInt32(length)
        case .ttl: UInt32(ttl)
        }
    }
}

/// What tells packets apart, besides addresses.
enum Feature: CaseIterable {
    case `protocol`, fragment, sourcePort, destinationPort, icmpType, tcpFlags, length, ttl
}

/// Samples of a while.
typealias Traffic = PacketSamples.Traffic<Observation>

extension Traffic {
    /// Packets a second of each value.
    func rates(by feature: Feature) -> [UInt32: Double] {
        samples.reduce(into: [:]) { rates, observation in
            guard let value = observation.value(feature) else { return }
            rates[value, default: 0] += observation.packets / seconds
        }
    }
}
