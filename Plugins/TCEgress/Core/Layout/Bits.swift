// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A `struct egress_bits`: a bit for each thing that a packet may match.
struct Bits: Hashable {
    /// `EGRESS_WORDS`.
    static let words = 4
    static let count = words * 64

    private(set) var words = [UInt64](repeating: 0, count: Bits.words)

    init() {}

    init(_ numbers: some Sequence<Int>) {
        for number in numbers { insert(number) }
    }

    mutating func insert(_ number: Int) { words[number / 64] |= 1 << (number % 64) }
    mutating func remove(_ number: Int) { words[number / 64] &= ~(1 << (number % 64)) }

    mutating func formUnion(_ other: Bits) {
        for index in words.indices { words[index] |= other.words[index] }
    }

    var bytes: Bytes {
        var bytes = Bytes()
        for word in words { bytes.append(word) }
        return bytes
    }
}
