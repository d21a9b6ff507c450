// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// The classes of one field and the blocks that they consist of, each of them once.
struct ClassPool {
    /// `DOS_BLOCK_WORDS`, `DOS_BLOCKS` and `DOS_SUMMARIES`.
    static let blockWords = 8
    static let blocks = 20
    static let summaries = 3

    private(set) var blocks: [[UInt64]] = []
    private(set) var classes: [[Int]] = []
    private var blockNumbers: [[UInt64]: Int] = [:]
    private var classNumbers: [[Int]: Int] = [:]

    /// A block of a set.
    mutating func block(_ number: Int, of set: RuleSet) -> Int {
        let start = number * Self.blockWords
        var words = Array(set.words[start..<min(set.words.count, start + Self.blockWords)])
        words += [UInt64](repeating: 0, count: Self.blockWords - words.count)
        if let known = blockNumbers[words] { return known }
        blocks.append(words)
        blockNumbers[words] = blocks.count - 1
        return blocks.count - 1
    }

    /// The class of a set, given by its blocks.
    mutating func number(of blocks: [Int]) -> Int {
        if let known = classNumbers[blocks] { return known }
        classes.append(blocks)
        classNumbers[blocks] = classes.count - 1
        return classes.count - 1
    }

    /// Each a `struct dos_class`.
    var packedClasses: [Bytes] {
        classes.map { numbers in
            var summary = [UInt64](repeating: 0, count: Self.summaries)
            for (index, number) in numbers.enumerated() {
                for (offset, word) in blocks[number].enumerated() where word != 0 {
                    let place = index * Self.blockWords + offset
                    summary[place / 64] |= 1 << UInt64(place % 64)
                }
            }
            var bytes = Bytes()
            for word in summary { bytes.append(word) }
            for index in 0..<Self.blocks { bytes.append(UInt16(index < numbers.count ? numbers[index] : 0)) }
            return bytes
        }
    }

    /// Each a `struct dos_block`.
    var packedBlocks: [Bytes] {
        blocks.map { words in
            var bytes = Bytes()
            for word in words { bytes.append(word) }
            return bytes
        }
    }
}
