// SPDX-License-Identifier: Apache-2.0

extension PacketLayer {
    /// Whether it is the header that a transport checksum covers too.
    var isNetwork: Bool {
        switch kind {
        case .ipv4, .ipv6: true
        default: false
        }
    }

    /// The number in an Ethernet header that announces this layer; zero when there is none.
    private var etherType: UInt16 {
        switch kind {
        case .vlan(_, let tag, _): tag
        case .arp: 0x0806
        case .ipv4: 0x0800
        case .ipv6: 0x86dd
        default: 0
        }
    }

    /// The number in an IP header that announces this layer; 59, "no next header", when there is none.
    private var protocolNumber: UInt8 {
        switch kind {
        case .ipv4: 4
        case .ipv6: 41
        case .option(let type, _, _): type
        case .fragment: 44
        case .authentication: 51
        case .tcp: 6
        case .udp: 17
        case .sctp: 132
        case .icmp(_, _, let version): version == 4 ? 1 : 58
        default: 59
        }
    }

    /// This layer's header and what it carries.
    func encode(around payload: [UInt8], inner: PacketLayer?, network: PacketLayer?) -> [UInt8] {
        var header = Bytes()
        let nextProtocol = inner?.protocolNumber ?? 59
        switch kind {
        case .ethernet(let source, let destination, let type):
            header.append(bytes: destination.bytes + source.bytes)
            header.append(bigEndian: type ?? inner?.etherType ?? 0)
        case .vlan(let identifier, _, let type):
            header.append(bigEndian: identifier)
            header.append(bigEndian: type ?? inner?.etherType ?? 0)
        case .arp(let operation, let sender, let target):
            header.append(bytes: [0, 1, 8, 0, 6, 4])
            header.append(bigEndian: operation)
            header.append(bytes: MACAddress.sample.bytes + sender.bytes + [0, 0, 0, 0, 0, 0] + target.bytes)
        case .ipv4(let ip):
            return encode(ip, around: payload, next: ip.next ?? nextProtocol)
        case .ipv6(let ip):
            header.append(bytes: [0x60, 0, 0, 0])
            header.append(bigEndian: ip.payloadLength ?? UInt16(payload.count))
            header.append(bytes: [ip.next ?? nextProtocol, ip.hopLimit] + ip.source.bytes + ip.destination.bytes)
        case .option(_, let bytes, let next):
            header.append(bytes: [next ?? nextProtocol, UInt8(bytes / 8 - 1)])
            header.append(bytes: [UInt8](repeating: 0, count: bytes - 2))
        case .fragment(let offset, let more, let next):
            header.append(bytes: [next ?? nextProtocol, 0])
            header.append(bigEndian: offset << 3 | (more ? 1 : 0))
            header.append(bigEndian: UInt32(1))
        case .authentication(let bytes, let next):
            header.append(bytes: [next ?? nextProtocol, UInt8(bytes / 4 - 2)])
            header.append(bytes: [UInt8](repeating: 0, count: bytes - 2))
        case .tcp(let source, let destination, let flags, let options):
            header.append(bigEndian: source)
            header.append(bigEndian: destination)
            header.append(bytes: [0, 0, 0, 1, 0, 0, 0, 0, UInt8(5 + options.count / 4) << 4, flags.rawValue])
            header.append(bytes: [0xff, 0xff, 0, 0, 0, 0] + options)
            return checked(header.raw + payload, at: 16, network)
        case .udp(let source, let destination):
            header.append(bigEndian: source)
            header.append(bigEndian: destination)
            header.append(bigEndian: UInt16(8 + payload.count))
            header.append(bytes: [0, 0])
            return checked(header.raw + payload, at: 6, network)
        case .sctp(let source, let destination):
            header.append(bigEndian: source)
            header.append(bigEndian: destination)
            header.append(bytes: [UInt8](repeating: 0, count: 8))
        case .icmp(let type, let code, let version):
            header.append(bytes: [type, code, 0, 0, 0, 0, 0, 0])
            return checked(header.raw + payload, at: 2, version == 6 ? network : nil)
        case .payload(let bytes):
            header.append(bytes: bytes)
        }
        return header.raw + payload
    }

    private func encode(_ ip: IPv4, around payload: [UInt8], next: UInt8) -> [UInt8] {
        var header = Bytes([0x45 + UInt8(ip.options.count / 4), 0])
        header.append(bigEndian: ip.totalLength ?? UInt16(20 + ip.options.count + payload.count))
        header.append(bytes: [0, 1])
        header.append(bigEndian: ip.fragmentOffset | (ip.moreFragments ? 0x2000 : 0))
        header.append(bytes: [ip.ttl, next, 0, 0] + ip.source.bytes + ip.destination.bytes + ip.options)
        return checked(header.raw, at: 10, nil) + payload
    }

    /// Fills in the checksum at `offset`, over a pseudo-header of `network` too.
    private func checked(_ bytes: [UInt8], at offset: Int, _ network: PacketLayer?) -> [UInt8] {
        var pseudo = Bytes()
        switch network?.kind {
        case .ipv4(let ip):
            pseudo.append(bytes: ip.source.bytes + ip.destination.bytes)
        case .ipv6(let ip):
            pseudo.append(bytes: ip.source.bytes + ip.destination.bytes)
        default: break
        }
        if network != nil {
            pseudo.append(bigEndian: UInt16(protocolNumber))
            pseudo.append(bigEndian: UInt16(bytes.count))
        }
        var sum = internetChecksum(pseudo.raw + bytes)
        // In UDP a zero means that there is no checksum.
        if case .udp = kind, sum == 0 { sum = 0xffff }
        var result = bytes
        result[offset] = UInt8(sum >> 8)
        result[offset + 1] = UInt8(sum & 0xff)
        return result
    }
}
