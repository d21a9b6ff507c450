// SPDX-License-Identifier: Apache-2.0

import StageKit

/// A part of a frame, read from its start. Offsets are those of the frame.
struct Window {
    let frame: [UInt8]
    var start: Int
    var end: Int

    var count: Int { max(0, end - start) }

    subscript(offset: Int) -> Int { Int(frame[start + offset]) }

    func number16(_ offset: Int) -> Int { self[offset] << 8 | self[offset + 1] }

    func bytes(_ offset: Int, _ count: Int) -> [UInt8] {
        Array(frame[start + offset..<start + offset + count])
    }

    func address(_ offset: Int, isIPv4: Bool) -> IPAddress { IPAddress(bytes: bytes(offset, isIPv4 ? 4 : 16)) }

    mutating func drop(_ count: Int) { start += count }
}

/// The link layer of a frame: how long it is, and what it says comes next.
struct ReferenceLink {
    var length = 14
    var type: Int

    init?(_ frame: [UInt8]) {
        func number(_ offset: Int) -> Int { Int(frame[offset]) << 8 | Int(frame[offset + 1]) }
        guard frame.count >= 14 else { return nil }
        type = number(12)
        for _ in 0..<2 where type == 0x8100 || type == 0x88a8 {
            guard frame.count >= length + 4 else { return nil }
            type = number(length + 2)
            length += 4
        }
    }
}

/// An IP packet, said in plain Swift, to hold the program's parser against.
struct ReferencePacket {
    var isIPv4: Bool
    var source: IPAddress
    var destination: IPAddress
    /// Of the whole packet, by its header.
    var total: Int
    var trafficClass: Int
    var mayNotBeFragmented: Bool
    /// Behind the network header and its extensions.
    var `protocol` = 0
    /// From the transport header on, without the padding of a short frame.
    var transport: Window
    var isFragment = false
    var isLaterFragment = false
    var ports: (source: Int, destination: Int)?
    var tcpFlags = 0
    var icmpType = 0

    var isICMP: Bool { `protocol` == (isIPv4 ? 1 : 58) }

    /// Nil where a header is cut off or contradicts itself.
    /// - Parameter isQuoted: It is in an ICMP error, so that its end may be missing.
    init?(_ whole: Window, isIPv4: Bool, isQuoted: Bool = false) {
        var window = whole
        let least = isIPv4 ? 20 : 40
        guard window.count >= least, window[0] >> 4 == (isIPv4 ? 4 : 6) else { return nil }
        self.isIPv4 = isIPv4
        if isIPv4 {
            let header = (window[0] & 15) * 4
            total = window.number16(2)
            trafficClass = window[1]
            mayNotBeFragmented = window[6] & 0x40 != 0
            source = window.address(12, isIPv4: true)
            destination = window.address(16, isIPv4: true)
            let fragment = window.number16(6)
            isLaterFragment = fragment & 0x1fff != 0
            isFragment = fragment & 0x3fff != 0
            `protocol` = window[9]
            guard header >= 20, header <= total, header <= window.count, isQuoted || total <= window.count else {
                return nil
            }
            window.end = min(window.end, window.start + total)
            window.drop(header)
            transport = window
        } else {
            total = 40 + window.number16(4)
            trafficClass = window.number16(0) >> 4 & 0xff
            mayNotBeFragmented = true
            source = window.address(8, isIPv4: false)
            destination = window.address(24, isIPv4: false)
            `protocol` = window[6]
            guard isQuoted || total <= window.count else { return nil }
            window.end = min(window.end, window.start + total)
            window.drop(40)
            transport = window
            guard skipExtensions() else { return nil }
        }
        guard readTransport(isQuoted) else { return nil }
    }

    private mutating func skipExtensions() -> Bool {
        var walked = 0
        while [0, 43, 44, 51, 60, 135, 139, 140].contains(`protocol`) {
            walked += 1
            guard walked <= 8, transport.count >= 8 else { return false }
            let size =
                switch `protocol` {
                case 44: 8
                case 51: (transport[1] + 2) * 4
                default: (transport[1] + 1) * 8
                }
            let fragment = `protocol` == 44 ? transport.number16(2) : 0
            guard transport.count >= size else { return false }
            `protocol` = transport[0]
            transport.drop(size)
            if fragment & 0xfff9 != 0 { isFragment = true }
            if fragment & 0xfff8 != 0 {
                isLaterFragment = true
                return true
            }
        }
        return true
    }

    private mutating func readTransport(_ isQuoted: Bool) -> Bool {
        guard !isLaterFragment, [1, 6, 17, 58].contains(`protocol`) else { return true }
        guard transport.count >= 8 else { return false }
        guard `protocol` == 6 || `protocol` == 17 else {
            icmpType = transport[0]
            return true
        }
        ports = (transport.number16(0), transport.number16(2))
        guard `protocol` == 6, !isQuoted else { return true }
        guard transport.count >= 20 else { return false }
        let header = (transport[12] >> 4) * 4
        tcpFlags = transport[13]
        return header >= 20 && header <= transport.count
    }
}
