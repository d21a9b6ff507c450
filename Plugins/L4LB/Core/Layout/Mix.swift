// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// The program's hash, `l4lb_mix`: step by step over words, of which the upper half is good.
struct Mix {
    private(set) var hash: UInt64

    init(_ start: UInt64, _ words: UInt64...) {
        hash = start
        for word in words { add(word) }
    }

    mutating func add(_ word: UInt64) {
        hash = (hash ^ word) &* 0x9e37_79b9_7f4a_7c15
        hash ^= hash >> 29
    }
}

extension IPAddress {
    /// A `struct l4lb_address`, as the program loads it.
    var words: (high: UInt64, low: UInt64) {
        let bytes = Bytes(mapped)
        return (bytes.number(), bytes.number(at: 8))
    }
}

extension IPPrefix {
    /// Of the address as the program has it, in which IPv4 has 96 bits before it.
    var mappedLength: Int { length + (isIPv4 ? 96 : 0) }

    var mappedMask: [UInt8] { (isIPv4 ? [UInt8](repeating: 0xff, count: 12) : []) + mask }
}
