// SPDX-License-Identifier: Apache-2.0

/// A set of rules, a bit each.
struct RuleSet: Hashable {
    var words: [UInt64]

    init(rules count: Int) {
        words = [UInt64](repeating: 0, count: (count + 63) / 64)
    }

    mutating func flip(_ position: Int) {
        words[position / 64] ^= 1 << UInt64(position % 64)
    }

    func contains(_ position: Int) -> Bool {
        words[position / 64] >> UInt64(position % 64) & 1 != 0
    }
}
