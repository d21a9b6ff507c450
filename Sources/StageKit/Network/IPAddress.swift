// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// An IPv4 or IPv6 address.
public struct IPAddress: Sendable, Hashable {
    /// In network byte order: four bytes of IPv4, sixteen of IPv6.
    public let bytes: [UInt8]

    /// - Precondition: four or sixteen bytes.
    public init(bytes: [UInt8]) {
        precondition(bytes.count == 4 || bytes.count == 16, "an IP address has 4 or 16 bytes")
        self.bytes = bytes
    }

    /// Nil unless `text` is an address as `inet_pton(3)` takes it: no port, no zone, no octal.
    public init?(_ text: String) {
        let isIPv4 = !text.utf8.contains(UInt8(ascii: ":"))
        var bytes = [UInt8](repeating: 0, count: isIPv4 ? 4 : 16)
        guard inet_pton(isIPv4 ? AF_INET : AF_INET6, text, &bytes) == 1 else { return nil }
        self.bytes = bytes
    }

    public var isIPv4: Bool { bytes.count == 4 }

    /// Sixteen bytes in network byte order: an IPv4 address as `::ffff:a.b.c.d`.
    public var mapped: [UInt8] {
        isIPv4 ? [UInt8](repeating: 0, count: 10) + [0xff, 0xff] + bytes : bytes
    }
}

extension IPAddress: CustomStringConvertible {
    /// As `inet_ntop(3)` writes it.
    public var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(isIPv4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension IPAddress: ExpressibleByStringLiteral {
    /// For addresses in code; ends the program when it is none.
    public init(stringLiteral text: String) {
        guard let address = IPAddress(text) else { preconditionFailure("\"\(text)\" is no IP address") }
        self = address
    }
}
