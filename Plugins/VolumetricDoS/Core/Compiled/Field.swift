// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples
internal import StageKit

/// What rules look at: `enum dos_field_number` of bpf/volumetric-dos/types.h, in its order.
enum Field: Int, CaseIterable {
    case source, destination
    /// Or ICMP type and code.
    case sourcePort
    case destinationPort, length, `protocol`, tcpFlags, ttl, service, vlan, innerVLAN
}

/// Values from the first to the last.
struct Interval: Equatable {
    var first: UInt128
    var last: UInt128

    init(_ first: some BinaryInteger, _ last: some BinaryInteger) {
        self.first = UInt128(first)
        self.last = UInt128(last)
    }
}

/// A kind of values that a field has; where it has two, a packet's value is of one of them.
enum Domain {
    case v4, v6, number, icmp, byte

    var last: UInt128 {
        switch self {
        case .v4: UInt128(UInt32.max)
        case .v6: .max
        case .number, .icmp: 65535
        case .byte: 255
        }
    }
}

extension Field {
    var domains: [Domain] {
        switch self {
        case .source, .destination: [.v4, .v6]
        case .sourcePort: [.number, .icmp]
        case .destinationPort, .length, .vlan, .innerVLAN: [.number]
        case .protocol, .tcpFlags, .ttl, .service: [.byte]
        }
    }
}

extension Rule {
    /// The values of a field that it agrees to; nil when all are right, also none.
    func intervals(_ field: Field, _ domain: Domain) -> [Interval]? {
        switch field {
        case .source: source.map { $0.intervals(domain) }
        case .destination: destination.map { $0.intervals(domain) }
        case .sourcePort:
            if let sourcePort {
                domain == .number ? sourcePort.intervals : []
            } else if icmpType != nil || icmpCode != nil {
                domain == .icmp ? icmpIntervals : []
            } else {
                nil
            }
        case .destinationPort: destinationPort?.intervals
        case .length: length?.intervals
        case .protocol: `protocol`.map { [Interval($0.number, $0.number)] }
        case .tcpFlags: tcpFlags.map { flags in bytes { flags.matches(TCPFlags(rawValue: $0)) } }
        case .ttl: ttl?.intervals
        case .service: dscp == nil && fragment == nil ? nil : bytes(isService)
        case .vlan: vlan?.intervals
        case .innerVLAN: innerVLAN?.intervals
        }
    }

    private var icmpIntervals: [Interval] {
        let codes = (icmpCode ?? NumberSet(0, 255)).ranges
        return (icmpType ?? NumberSet(0, 255)).ranges.flatMap { types in
            (types.first...types.last).flatMap { type in
                codes.map { Interval(type << 8 | $0.first, type << 8 | $0.last) }
            }
        }
    }

    /// `dos_packet.service`.
    private func isService(_ byte: UInt8) -> Bool {
        let kinds: [Fragment] = [.no, .first, .later]
        guard let kind = kinds.dropFirst(Int(byte & 3)).first, dscp?.contains(UInt32(byte >> 2)) ?? true else {
            return false
        }
        return fragment?.includes(kind) ?? true
    }

    private func bytes(_ holds: (UInt8) -> Bool) -> [Interval] {
        (UInt8.min...UInt8.max).filter(holds).map { Interval($0, $0) }
    }
}

extension NumberSet {
    fileprivate var intervals: [Interval] { ranges.map { Interval($0.first, $0.last) } }
}

extension IPPrefix {
    fileprivate func intervals(_ domain: Domain) -> [Interval] {
        guard isIPv4 == (domain == .v4) else { return [] }
        let first = address.number
        let bits = address.bytes.count * 8
        let span = length == 0 ? domain.last : (UInt128(1) << UInt128(bits - length)) - 1
        return [Interval(first, first + span)]
    }
}
