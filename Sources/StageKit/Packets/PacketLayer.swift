// SPDX-License-Identifier: Apache-2.0

/// One header of a packet, or its payload.
public struct PacketLayer: Sendable {
    enum Kind: Sendable {
        case ethernet(source: MACAddress, destination: MACAddress, type: UInt16?)
        case vlan(UInt16, tag: UInt16, type: UInt16?)
        case arp(operation: UInt16, sender: IPAddress, target: IPAddress)
        case ipv4(IPv4)
        case ipv6(IPv6)
        case option(type: UInt8, bytes: Int, next: UInt8?)
        case fragment(offset: UInt16, more: Bool, next: UInt8?)
        case authentication(bytes: Int, next: UInt8?)
        case tcp(source: UInt16, destination: UInt16, flags: TCPFlags, options: [UInt8])
        case udp(source: UInt16, destination: UInt16)
        case sctp(source: UInt16, destination: UInt16)
        case icmp(type: UInt8, code: UInt8, version: Int)
        case payload([UInt8])
    }

    struct IPv4: Sendable {
        var source: IPAddress
        var destination: IPAddress
        var next: UInt8?
        var ttl: UInt8
        var options: [UInt8]
        var fragmentOffset: UInt16
        var moreFragments: Bool
        var totalLength: UInt16?
    }

    struct IPv6: Sendable {
        var source: IPAddress
        var destination: IPAddress
        var next: UInt8?
        var hopLimit: UInt8
        var payloadLength: UInt16?
    }

    let kind: Kind

    public static func ethernet(
        from source: MACAddress = .sample, to destination: MACAddress = .otherSample, type: UInt16? = nil
    ) -> PacketLayer {
        PacketLayer(kind: .ethernet(source: source, destination: destination, type: type))
    }

    /// - Parameter tag: 0x8100 of 802.1Q, or 0x88a8 of the outer tag of 802.1ad.
    public static func vlan(_ identifier: UInt16, tag: UInt16 = 0x8100, type: UInt16? = nil) -> PacketLayer {
        PacketLayer(kind: .vlan(identifier, tag: tag, type: type))
    }

    /// - Parameter operation: 1 asks, 2 answers.
    public static func arp(operation: UInt16 = 1, sender: IPAddress, target: IPAddress) -> PacketLayer {
        PacketLayer(kind: .arp(operation: operation, sender: sender, target: target))
    }

    /// - Parameters:
    ///   - next: The protocol, where the next layer does not tell.
    ///   - options: A multiple of four bytes, at most 40.
    ///   - fragmentOffset: In units of eight bytes.
    ///   - totalLength: To say something else than the truth.
    public static func ipv4(
        from source: IPAddress, to destination: IPAddress, next: UInt8? = nil, ttl: UInt8 = 64, options: [UInt8] = [],
        fragmentOffset: UInt16 = 0, moreFragments: Bool = false, totalLength: UInt16? = nil
    ) -> PacketLayer {
        PacketLayer(
            kind: .ipv4(
                IPv4(
                    source: source, destination: destination, next: next, ttl: ttl, options: options,
                    fragmentOffset: fragmentOffset, moreFragments: moreFragments, totalLength: totalLength)))
    }

    /// - Parameters:
    ///   - next: The next header, where the next layer does not tell.
    ///   - payloadLength: To say something else than the truth.
    public static func ipv6(
        from source: IPAddress, to destination: IPAddress, next: UInt8? = nil, hopLimit: UInt8 = 64,
        payloadLength: UInt16? = nil
    ) -> PacketLayer {
        PacketLayer(
            kind: .ipv6(
                IPv6(
                    source: source, destination: destination, next: next, hopLimit: hopLimit,
                    payloadLength: payloadLength)))
    }

    /// An IPv6 extension header of zeros: hop-by-hop options (0), routing (43), destination options (60) ...
    /// - Parameter bytes: Its whole length, a multiple of eight.
    public static func extensionHeader(_ type: UInt8, bytes: Int = 8, next: UInt8? = nil) -> PacketLayer {
        PacketLayer(kind: .option(type: type, bytes: bytes, next: next))
    }

    /// IPv6's fragment header.
    /// - Parameter offset: In units of eight bytes.
    public static func fragmentHeader(offset: UInt16, more: Bool, next: UInt8? = nil) -> PacketLayer {
        PacketLayer(kind: .fragment(offset: offset, more: more, next: next))
    }

    /// IPsec's authentication header.
    /// - Parameter bytes: Its whole length, a multiple of four and at least 12.
    public static func authenticationHeader(bytes: Int = 24, next: UInt8? = nil) -> PacketLayer {
        PacketLayer(kind: .authentication(bytes: bytes, next: next))
    }

    /// - Parameter options: A multiple of four bytes, at most 40.
    public static func tcp(
        from source: UInt16, to destination: UInt16, flags: TCPFlags = .syn, options: [UInt8] = []
    ) -> PacketLayer {
        PacketLayer(kind: .tcp(source: source, destination: destination, flags: flags, options: options))
    }

    public static func udp(from source: UInt16, to destination: UInt16) -> PacketLayer {
        PacketLayer(kind: .udp(source: source, destination: destination))
    }

    /// SCTP's common header; its checksum (a CRC-32C) is left zero.
    public static func sctp(from source: UInt16, to destination: UInt16) -> PacketLayer {
        PacketLayer(kind: .sctp(source: source, destination: destination))
    }

    /// ICMP; type 8 is an echo request.
    public static func icmp(type: UInt8 = 8, code: UInt8 = 0) -> PacketLayer {
        PacketLayer(kind: .icmp(type: type, code: code, version: 4))
    }

    /// ICMPv6; type 128 is an echo request, 133 to 137 are neighbour discovery.
    public static func icmpv6(type: UInt8 = 128, code: UInt8 = 0) -> PacketLayer {
        PacketLayer(kind: .icmp(type: type, code: code, version: 6))
    }

    public static func payload(_ bytes: [UInt8]) -> PacketLayer {
        PacketLayer(kind: .payload(bytes))
    }

    /// So many bytes of zero.
    public static func payload(_ count: Int) -> PacketLayer {
        PacketLayer(kind: .payload([UInt8](repeating: 0, count: count)))
    }
}
