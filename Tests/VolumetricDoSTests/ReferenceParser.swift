// SPDX-License-Identifier: Apache-2.0

import StageKit
import VolumetricDoS

/// What a frame is, said in plain Swift, to hold the program's parser against.
enum Parsed: Equatable {
    case arp
    case neighbourDiscovery
    case notIP
    /// With the source if the network header can be relied on.
    case malformed(source: IPAddress?)
    case packet(PacketFacts, laterFragment: Bool)

    init(_ frame: [UInt8]) {
        var reader = Reader(bytes: frame[...])
        self = Parsed.link(&reader) ?? .malformed(source: nil)
    }

    /// Nil where a header is cut off or contradicts itself.
    private static func link(_ reader: inout Reader) -> Parsed? {
        guard reader.take(12) != nil, var type = reader.number16() else { return nil }
        var vlans: [UInt16] = []
        for _ in 0..<2 where type == 0x8100 || type == 0x88a8 {
            guard let control = reader.number16(), let inner = reader.number16() else { return nil }
            vlans.append(control & 0xfff)
            type = inner
        }
        switch type {
        case 0x0806: return .arp
        case 0x0800: return ipv4(reader, vlans)
        case 0x86dd: return ipv6(reader, vlans)
        default: return .notIP
        }
    }

    private static func ipv4(_ whole: Reader, _ vlans: [UInt16]) -> Parsed? {
        let room = whole.bytes.count
        var reader = whole
        guard let header = reader.take(20), header[0] >> 4 == 4 else { return nil }
        let headerLength = Int(header[0] & 15) * 4
        let total = Int(header[2]) << 8 | Int(header[3])
        guard headerLength >= 20, total >= headerLength, total <= room else { return nil }
        let fragment = Int(header[6]) << 8 | Int(header[7])
        let network = Network(
            source: IPAddress(bytes: Array(header[12..<16])), destination: IPAddress(bytes: Array(header[16..<20])),
            length: total, isNeighbourly: false, ttl: header[8], dscp: header[1] >> 2,
            fragment: fragment & 0x1fff != 0 ? .later : fragment & 0x2000 != 0 ? .first : .no, vlans: vlans)
        return network.transport(
            header[9], Reader(bytes: whole.bytes.dropFirst(headerLength).prefix(total - headerLength)),
            laterFragment: fragment & 0x1fff != 0)
    }

    private static func ipv6(_ whole: Reader, _ vlans: [UInt16]) -> Parsed? {
        var reader = whole
        guard let header = reader.take(40), header[0] >> 4 == 6 else { return nil }
        let length = Int(header[4]) << 8 | Int(header[5])
        guard length <= reader.bytes.count else { return nil }
        var network = Network(
            source: IPAddress(bytes: Array(header[8..<24])), destination: IPAddress(bytes: Array(header[24..<40])),
            length: length + 40, isNeighbourly: header[7] == 255, ttl: header[7],
            dscp: (header[0] << 4 | header[1] >> 4) >> 2, fragment: .no, vlans: vlans)
        let malformed = Parsed.malformed(source: network.source)
        var payload = Reader(bytes: reader.bytes.prefix(length))
        var next = header[6]
        var walked = 0
        while [0, 43, 44, 51, 60, 135, 139, 140].contains(next) {
            walked += 1
            guard walked <= 8, payload.bytes.count >= 8 else { return malformed }
            let fields = Array(payload.bytes.prefix(8))
            let size = next == 44 ? 8 : next == 51 ? (Int(fields[1]) + 2) * 4 : (Int(fields[1]) + 1) * 8
            let fragment = next == 44 ? Int(fields[2]) << 8 | Int(fields[3]) : 0
            guard payload.take(size) != nil else { return malformed }
            next = fields[0]
            if fragment & 0xfff9 != 0 {
                network.isNeighbourly = false
                network.fragment = fragment & 0xfff8 != 0 ? .later : .first
            }
            if fragment & 0xfff8 != 0 { return network.transport(next, payload, laterFragment: true) }
        }
        return network.transport(next, payload, laterFragment: false)
    }
}

/// The rest of a frame.
private struct Reader {
    var bytes: ArraySlice<UInt8>

    mutating func take(_ count: Int) -> [UInt8]? {
        guard bytes.count >= count else { return nil }
        defer { bytes = bytes.dropFirst(count) }
        return Array(bytes.prefix(count))
    }

    mutating func number16() -> UInt16? {
        take(2).map { UInt16($0[0]) << 8 | UInt16($0[1]) }
    }
}

private struct Network {
    var source: IPAddress
    var destination: IPAddress
    var length: Int
    /// Whether it may be neighbour discovery: has hop limit 255 and is no fragment.
    var isNeighbourly: Bool
    var ttl: UInt8
    var dscp: UInt8
    var fragment: Fragment
    var vlans: [UInt16]

    func transport(_ number: UInt8, _ payload: Reader, laterFragment: Bool) -> Parsed {
        var facts = PacketFacts(
            source: source, destination: destination, protocol: number, length: min(65535, UInt32(length)),
            ttl: ttl, dscp: dscp, fragment: fragment, vlans: vlans)
        if laterFragment { return .packet(facts, laterFragment: true) }
        let header = Array(payload.bytes)
        var size = [1: 8, 6: 20, 17: 8, 58: 8, 132: 12, 136: 8][number] ?? 0
        guard header.count >= size else { return .malformed(source: source) }
        if number == 6 {
            size = Int(header[12] >> 4) * 4
            guard size >= 20, size <= header.count else { return .malformed(source: source) }
            facts.tcpFlags = TCPFlags(rawValue: header[13])
        }
        facts.payload = Array(header.dropFirst(size))
        if [6, 17, 132, 136].contains(number) {
            facts.ports = .init(
                source: UInt16(header[0]) << 8 | UInt16(header[1]),
                destination: UInt16(header[2]) << 8 | UInt16(header[3]))
        }
        if number == 1 || number == 58 { facts.icmp = .init(type: header[0], code: header[1]) }
        if number == 58, isNeighbourly, (133...137).contains(header[0]) { return .neighbourDiscovery }
        return .packet(facts, laterFragment: false)
    }
}
