// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A set of rules, a bit each.
struct RuleSet: Hashable {
    /// `DOS_SUMMARIES`.
    private static let summaries = 3
    /// That many fit into a summary.
    static let few = summaries * 64

    var words: [UInt64]

    init(words: [UInt64]) {
        self.words = words
    }

    init(rules count: Int) {
        words = [UInt64](repeating: 0, count: (count + 63) / 64)
    }

    var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    mutating func flip(_ position: Int) {
        words[position / 64] ^= 1 << UInt64(position % 64)
    }

    func contains(_ position: Int) -> Bool {
        words[position / 64] >> UInt64(position % 64) & 1 != 0
    }

    /// A `summary` of a `struct dos_class`: a bit for each word that is not empty. Of few rules it is the set itself.
    func summary(few: Bool) -> Bytes {
        var summary = [UInt64](repeating: 0, count: Self.summaries)
        for (place, word) in words.enumerated() where word != 0 {
            if few { summary[place] = word } else { summary[place / 64] |= 1 << UInt64(place % 64) }
        }
        var bytes = Bytes()
        for word in summary { bytes.append(word) }
        return bytes
    }
}
