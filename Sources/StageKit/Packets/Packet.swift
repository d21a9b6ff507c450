// SPDX-License-Identifier: Apache-2.0

/// Builds frames in code, for the samples of a plan and for tests, with all lengths and checksums right:
///
///     Packet.bytes(.ethernet(), .ipv4(from: "192.0.2.1", to: "198.51.100.1"), .udp(from: 53, to: 4000), .payload(20))
///
/// Layers go from the outermost in. What a layer says about the next one (EtherType, protocol) comes from that next
/// one, unless it is given.
public enum Packet {
    /// The frame's bytes.
    public static func bytes(_ layers: PacketLayer...) -> [UInt8] {
        bytes(layers)
    }

    /// The frame's bytes.
    public static func bytes(_ layers: [PacketLayer]) -> [UInt8] {
        var frame: [UInt8] = []
        for (index, layer) in layers.enumerated().reversed() {
            let inner = layers.dropFirst(index + 1).first
            frame = layer.encode(around: frame, inner: inner, network: layers[..<index].last { $0.isNetwork })
        }
        return frame
    }
}

/// An Ethernet address.
public struct MACAddress: Sendable, Hashable {
    /// Six of them.
    public let bytes: [UInt8]

    /// - Precondition: six bytes.
    public init(_ bytes: [UInt8]) {
        precondition(bytes.count == 6, "an Ethernet address has 6 bytes")
        self.bytes = bytes
    }

    public static let broadcast = MACAddress([UInt8](repeating: 0xff, count: 6))
    /// Locally administered addresses for packets that nobody sends.
    public static let sample = MACAddress([0x02, 0, 0, 0, 0, 0x01])
    public static let otherSample = MACAddress([0x02, 0, 0, 0, 0, 0x02])
}

/// TCP's flags, as the fourteenth byte of its header has them.
public struct TCPFlags: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let fin = TCPFlags(rawValue: 0x01)
    public static let syn = TCPFlags(rawValue: 0x02)
    public static let rst = TCPFlags(rawValue: 0x04)
    public static let psh = TCPFlags(rawValue: 0x08)
    public static let ack = TCPFlags(rawValue: 0x10)
    public static let urg = TCPFlags(rawValue: 0x20)
    public static let ece = TCPFlags(rawValue: 0x40)
    public static let cwr = TCPFlags(rawValue: 0x80)
}

/// The sum that IP, TCP, UDP and ICMP check packets by (RFC 1071), in host byte order.
public func internetChecksum(_ bytes: some Sequence<UInt8>) -> UInt16 {
    var sum: UInt32 = 0
    var high = true
    for byte in bytes {
        sum += high ? UInt32(byte) << 8 : UInt32(byte)
        high.toggle()
        if sum >> 31 != 0 { sum = (sum & 0xffff) + (sum >> 16) }
    }
    while sum >> 16 != 0 { sum = (sum & 0xffff) + (sum >> 16) }
    return ~UInt16(sum)
}
