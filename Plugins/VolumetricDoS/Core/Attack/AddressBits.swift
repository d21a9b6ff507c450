// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// An address, or the first of a prefix, as a number whose highest bit is the address's first: quick to compare and cut.
struct AddressBits: Hashable {
    var bits: UInt128
    var isIPv4: Bool

    init(bits: UInt128, isIPv4: Bool) {
        self.bits = bits
        self.isIPv4 = isIPv4
    }

    init(_ address: IPAddress) {
        isIPv4 = address.isIPv4
        bits = address.number << (isIPv4 ? 96 : 0)
    }

    var address: IPAddress {
        IPAddress(bytes: (0..<(isIPv4 ? 4 : 16)).map { UInt8(truncatingIfNeeded: bits >> (120 - 8 * $0)) })
    }
}

/// A prefix of such addresses.
struct PrefixBits: Hashable {
    let first: AddressBits
    let length: Int

    init(_ address: AddressBits, length: Int) {
        first = AddressBits(bits: address.bits & Self.mask(length), isIPv4: address.isIPv4)
        self.length = length
    }

    /// The first `length` bits of an address.
    static func mask(_ length: Int) -> UInt128 { length == 0 ? 0 : ~0 << (128 - length) }

    var isWhole: Bool { length == (first.isIPv4 ? 32 : 128) }

    func contains(_ address: AddressBits) -> Bool {
        address.isIPv4 == first.isIPv4 && address.bits & Self.mask(length) == first.bits
    }

    var prefix: IPPrefix { IPPrefix(first.address, length: length) }

    /// An address without a length where it is one.
    var text: String { isWhole ? first.address.description : prefix.description }
}
