// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// The classes of one field and the blocks that they consist of, each of them once.
struct ClassPool {
    /// `DOS_BLOCK_WORDS` and `DOS_BLOCKS`.
    static let blockWords = 8
    static let blocks = 20

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
    func packedClasses(few: Bool) -> [Bytes] {
        classes.map { numbers in
            var bytes = RuleSet(words: numbers.flatMap { blocks[$0] }).summary(few: few)
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
