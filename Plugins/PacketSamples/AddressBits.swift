// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// An address, or the first of a prefix, as a number whose highest bit is the address's first: quick to compare and cut.
public struct AddressBits: Hashable, Sendable {
    public var bits: UInt128
    public var isIPv4: Bool

    @inlinable
    public init(bits: UInt128, isIPv4: Bool) {
        self.bits = bits
        self.isIPv4 = isIPv4
    }

    public init(_ address: IPAddress) {
        isIPv4 = address.isIPv4
        bits = address.number << (isIPv4 ? 96 : 0)
    }

    public var address: IPAddress {
        IPAddress(bytes: (0..<(isIPv4 ? 4 : 16)).map { UInt8(truncatingIfNeeded: bits >> (120 - 8 * $0)) })
    }
}

/// A prefix of such addresses.
public struct PrefixBits: Hashable, Sendable {
    public let first: AddressBits
    public let length: Int

    @inlinable
    public init(_ address: AddressBits, length: Int) {
        first = AddressBits(bits: address.bits & Self.mask(length), isIPv4: address.isIPv4)
        self.length = length
    }

    /// The first `length` bits of an address.
    @inlinable
    public static func mask(_ length: Int) -> UInt128 { length == 0 ? 0 : ~0 << (128 - length) }

    @inlinable public var isWhole: Bool { length == (first.isIPv4 ? 32 : 128) }

    @inlinable
    public func contains(_ address: AddressBits) -> Bool {
        address.isIPv4 == first.isIPv4 && address.bits & Self.mask(length) == first.bits
    }

    public var prefix: IPPrefix { IPPrefix(first.address, length: length) }

    /// An address without a length where it is one.
    public var text: String { isWhole ? first.address.description : prefix.description }
}

/// The prefix lengths that traffic is summed up by, the longest first.
public enum PrefixLevels {
    private static let v4 = [32, 24, 16, 8]
    private static let v6 = [128, 64, 48, 32]
    public static let count = v4.count

    public static func prefix(_ address: AddressBits, _ level: Int) -> PrefixBits {
        PrefixBits(address, length: (address.isIPv4 ? v4 : v6)[level])
    }
}

extension IPAddress {
    /// 32 or 128 bits.
    public var number: UInt128 { bytes.reduce(0) { $0 << 8 | UInt128($1) } }
}
