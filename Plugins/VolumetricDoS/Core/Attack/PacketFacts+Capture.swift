// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension PacketFacts {
    /// What can be seen in the first bytes of a frame: lengths are those that the IP header says, and what is behind the
    /// end is not there. Nil where there is no IP header to be seen.
    public init?(captured frame: [UInt8]) {
        var capture = Capture(bytes: frame, position: 12)
        guard var type = capture.take16() else { return nil }
        var vlans: [UInt16] = []
        for _ in 0..<2 where type == 0x8100 || type == 0x88a8 {
            guard let tag = capture.take16(), let inner = capture.take16() else { return nil }
            vlans.append(tag & 0xfff)
            type = inner
        }
        switch type {
        case 0x0800: self.init(ipv4: capture, vlans: vlans)
        case 0x86dd: self.init(ipv6: capture, vlans: vlans)
        default: return nil
        }
    }

    private init?(ipv4 capture: Capture, vlans: [UInt16]) {
        var capture = capture
        guard capture.has(20), capture[0] >> 4 == 4 else { return nil }
        let fragment = capture.number16(at: 6)
        self.init(
            source: IPAddress(bytes: capture.slice(12, 4)), destination: IPAddress(bytes: capture.slice(16, 4)),
            protocol: capture[9], length: UInt32(capture.number16(at: 2)), ttl: capture[8], dscp: capture[1] >> 2,
            fragment: fragment & 0x1fff != 0 ? .later : fragment & 0x2000 != 0 ? .first : .no, vlans: vlans)
        capture.position += Int(capture[0] & 15) * 4
        readTransport(capture)
    }

    private init?(ipv6 capture: Capture, vlans: [UInt16]) {
        var capture = capture
        guard capture.has(40), capture[0] >> 4 == 6 else { return nil }
        self.init(
            source: IPAddress(bytes: capture.slice(8, 16)), destination: IPAddress(bytes: capture.slice(24, 16)),
            protocol: capture[6], length: min(65535, UInt32(capture.number16(at: 4)) + 40), ttl: capture[7],
            dscp: (capture[0] << 4 | capture[1] >> 4) >> 2, vlans: vlans)
        capture.position += 40
        // As many extension headers as the program walks.
        for _ in 0..<8 where Self.extensionHeaders.contains(`protocol`) && fragment != .later {
            guard capture.has(8) else { return }
            let kind = `protocol`
            let size = kind == 44 ? 8 : kind == 51 ? (Int(capture[1]) + 2) * 4 : (Int(capture[1]) + 1) * 8
            if kind == 44, capture.number16(at: 2) & 0xfff9 != 0 {
                fragment = capture.number16(at: 2) & 0xfff8 != 0 ? .later : .first
            }
            `protocol` = capture[0]
            capture.position += size
        }
        readTransport(capture)
    }

    private static let extensionHeaders: Set<UInt8> = [0, 43, 44, 51, 60, 135, 139, 140]

    private mutating func readTransport(_ capture: Capture) {
        guard fragment != .later else { return }
        let number = IPProtocol(`protocol`)
        if number.hasPorts, capture.has(4) {
            ports = Ports(source: capture.number16(at: 0), destination: capture.number16(at: 2))
        }
        if number == .tcp, capture.has(14) { tcpFlags = TCPFlags(rawValue: capture[13]) }
        if number == .icmp || number == .icmpv6, capture.has(2) { icmp = ICMP(type: capture[0], code: capture[1]) }
    }
}

/// The bytes of a frame from a position on.
private struct Capture {
    let bytes: [UInt8]
    var position: Int

    func has(_ count: Int) -> Bool { position + count <= bytes.count }

    subscript(_ offset: Int) -> UInt8 { bytes[position + offset] }

    func number16(at offset: Int) -> UInt16 { UInt16(self[offset]) << 8 | UInt16(self[offset + 1]) }

    func slice(_ offset: Int, _ count: Int) -> [UInt8] {
        Array(bytes[position + offset..<position + offset + count])
    }

    mutating func take16() -> UInt16? {
        guard has(2) else { return nil }
        defer { position += 2 }
        return number16(at: 0)
    }
}
