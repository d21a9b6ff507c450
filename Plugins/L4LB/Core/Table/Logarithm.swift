// SPDX-License-Identifier: Apache-2.0

/// Binary logarithms in integers, so that every machine ranks servers alike: libraries differ in the last bit.
struct Logarithm {
    /// How finely a power of two is divided.
    private static let bits = 10

    /// log2(1 + i / 1024) with 32 bits behind the point.
    private let table: [UInt64] = (0...1 << bits).map { index in
        var rest = (UInt64(1 << bits) + UInt64(index)) << UInt64(62 - bits)
        var result: UInt64 = 0
        guard index < 1 << bits else { return 1 << 32 }
        for _ in 0..<32 {
            let square = rest.multipliedFullWidth(by: rest)
            rest = square.high << 2 | square.low >> 62
            result <<= 1
            if rest >> 63 != 0 {
                result |= 1
                rest >>= 1
            }
        }
        return result
    }

    /// -log2(word / 2^64), with 32 bits behind the point; of 0 that of 1.
    func negative(of word: UInt64) -> UInt64 {
        let zeros = UInt64((word | 1).leadingZeroBitCount)
        let mantissa = (word | 1) << zeros
        let fraction = mantissa << 1
        let index = Int(fraction >> UInt64(64 - Self.bits))
        let rest = (fraction << UInt64(Self.bits)) >> 32
        return table.withUnsafeBufferPointer { table in
            let (low, high) = (table[index], table[index + 1])
            return (zeros + 1) << 32 - (low + ((high - low) * rest) >> 32)
        }
    }
}
