// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// The protocols whose sockets a group takes by their address.
package enum SocketProtocol: String, Sendable, Codable, CaseIterable {
    case udp, tcp

    package var number: Int32 { Int32(self == .udp ? IPPROTO_UDP : IPPROTO_TCP) }

    package init?(number: Int32) {
        guard let found = Self.allCases.first(where: { $0.number == number }) else { return nil }
        self = found
    }
}

/// An address of IPv4 (4 bytes) or IPv6 (16 bytes) and a port. An IPv4 address in an IPv6 socket is told as what it is.
package struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    package let bytes: [UInt8]
    package let port: UInt16

    package init(bytes: [UInt8], port: UInt16) {
        let isMapped = bytes.count == 16 && bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10...11] == [255, 255]
        self.bytes = isMapped ? Array(bytes[12...]) : bytes
        self.port = port
    }

    /// As getsockname(2) and getpeername(2) give it; nil for another family.
    init?(_ storage: sockaddr_storage) {
        let raw = withUnsafeBytes(of: storage) { Array($0) }
        let port = UInt16(raw[2]) << 8 | UInt16(raw[3])
        switch Int32(storage.ss_family) {
        case AF_INET: self.init(bytes: Array(raw[4..<8]), port: port)
        case AF_INET6: self.init(bytes: Array(raw[8..<24]), port: port)
        default: return nil
        }
    }

    package var description: String { bytes.count == 4 ? "\(host):\(port)" : "[\(host)]:\(port)" }

    private var host: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Nil when the text is no address.
    static func parse(_ host: some StringProtocol) -> [UInt8]? {
        let isIPv6 = host.contains(":")
        var bytes = [UInt8](repeating: 0, count: isIPv6 ? 16 : 4)
        return inet_pton(isIPv6 ? AF_INET6 : AF_INET, String(host), &bytes) == 1 ? bytes : nil
    }
}

/// What people write of sockets: `0.0.0.0:53/udp`, `[2001:db8::1]:443/tcp`, `*:53/udp` for whatever address.
package struct LocalPattern: Sendable, Hashable, CustomStringConvertible {
    /// Nil for any, of both families.
    package let address: [UInt8]?
    package let port: UInt16
    package let transport: SocketProtocol

    package init(parsing text: String) throws(SocketGroupError) {
        let problem = SocketGroupError(
            "\"\(text)\": expected ADDRESS:PORT/udp or /tcp, such as 0.0.0.0:53/udp, [::]:53/udp or *:53/udp")
        let halves = text.split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2, let transport = SocketProtocol(rawValue: String(halves[1])),
            let colon = halves[0].lastIndex(of: ":"), let port = UInt16(halves[0][halves[0].index(after: colon)...]),
            port > 0
        else { throw problem }
        var host = halves[0][..<colon]
        (self.port, self.transport) = (port, transport)
        if host == "*" {
            address = nil
            return
        }
        if host.hasPrefix("["), host.hasSuffix("]"), host.contains(":") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw problem
        }
        guard let bytes = SocketAddress.parse(host) else { throw problem }
        address = SocketAddress(bytes: bytes, port: port).bytes
    }

    package var description: String {
        (address.map { SocketAddress(bytes: $0, port: port).description } ?? "*:\(port)") + "/\(transport.rawValue)"
    }

    /// Whether it speaks of a socket that is bound there: one that listens, or is not connected.
    package func matches(_ socket: SocketFacts) -> Bool {
        guard socket.transport == transport, let local = socket.local, local.port == port else { return false }
        guard address == nil || address == local.bytes else { return false }
        return transport == .tcp ? socket.isListening : socket.remote == nil
    }

    package func matches(_ local: SocketAddress) -> Bool {
        local.port == port && (address == nil || address == local.bytes)
    }
}
