// SPDX-License-Identifier: Apache-2.0

/// A prefix of IPv4 or IPv6 addresses, `203.0.113.0/24`; an address alone is a prefix of its own.
public struct IPPrefix: Sendable, Hashable {
    /// Its first address.
    public let address: IPAddress
    /// How many of the address's leading bits belong to it.
    public let length: Int

    /// - Throws: ``StageError`` when `text` is no prefix, or has bits set behind its length.
    public init(_ text: String) throws(StageError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let address = IPAddress(parts[0]) else {
            throw StageError("\"\(text)\": expected a prefix such as 203.0.113.0/24 or 2001:db8::/32")
        }
        let bits = address.bytes.count * 8
        var length = bits
        if parts.count == 2 {
            guard parts[1].utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(parts[1]), number <= bits
            else {
                let family = address.isIPv4 ? "IPv4" : "IPv6"
                throw StageError("\"\(text)\": a prefix length of \(family) is 0 to \(bits)")
            }
            length = number
        }
        self.init(address, length: length)
        guard self.address == address else {
            throw StageError("\"\(text)\": has bits set behind its length; the prefix is \(self)")
        }
    }

    /// The prefix of `length` bits that `address` is in.
    /// - Precondition: `length` is at most the address's bits.
    public init(_ address: IPAddress, length: Int) {
        self.length = length
        self.address = IPAddress(bytes: zip(address.bytes, Self.mask(address.bytes.count, length)).map { $0 & $1 })
    }

    public var isIPv4: Bool { address.isIPv4 }

    /// As many bytes as the address has: the first `length` bits are set.
    public var mask: [UInt8] { Self.mask(address.bytes.count, length) }

    public func contains(_ other: IPAddress) -> Bool {
        other.bytes.count == address.bytes.count && IPPrefix(other, length: length).address == address
    }

    private static func mask(_ count: Int, _ length: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: 0xff00 >> min(8, max(0, length - $0 * 8))) }
    }
}

extension IPPrefix: CustomStringConvertible {
    public var description: String { "\(address)/\(length)" }
}

extension IPPrefix: Codable {
    public init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
