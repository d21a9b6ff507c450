// SPDX-License-Identifier: Apache-2.0

/// All values of one domain, cut into intervals that the same rules agree to.
struct Segment: Equatable {
    /// Its first value; the next segment begins behind its last.
    var first: UInt128
    var `class`: Int
}

/// What the rules, in their order of bits, want of one field.
struct FieldClasses {
    let field: Field
    /// The rules that ask for it.
    let asking: RuleSet
    private(set) var pool = ClassPool()
    /// One for each of the field's domains, from value 0 on.
    private(set) var segments: [[Segment]] = []
    /// The class of packets that do not have the field.
    private(set) var none = 0

    /// - Parameter isNeeded: Even if no rule asks for the field, and then for all rules; otherwise nil.
    init?(_ field: Field, _ rules: [Rule?], isNeeded: Bool) {
        var (asking, indifferent) = (RuleSet(rules: rules.count), RuleSet(rules: rules.count))
        for case (let position, let rule?) in rules.enumerated() {
            let asks = rule.intervals(field, field.domains[0]) != nil
            if !asks { indifferent.flip(position) }
            if asks || isNeeded { asking.flip(position) }
        }
        guard !asking.isEmpty else { return nil }
        self.field = field
        self.asking = asking
        let blocks = (0..<(indifferent.words.count + ClassPool.blockWords - 1) / ClassPool.blockWords)
            .map { pool.block($0, of: indifferent) }
        none = pool.number(of: blocks)
        for domain in field.domains {
            let found = sweep(rules, domain, from: indifferent, blocks)
            segments.append(found)
        }
    }

    /// Walks all values from the first one to the last, and changes the set wherever a rule's interval begins or ends.
    private mutating func sweep(
        _ rules: [Rule?], _ domain: Domain, from indifferent: RuleSet, _ blocks: [Int]
    ) -> [Segment] {
        var changes: [(value: UInt128, position: Int)] = []
        for case (let position, let rule?) in rules.enumerated() {
            for interval in rule.intervals(field, domain) ?? [] {
                changes.append((interval.first, position))
                if interval.last < domain.last { changes.append((interval.last + 1, position)) }
            }
        }
        changes.sort { $0.value < $1.value }
        var (set, blocks) = (indifferent, blocks)
        var segments = [Segment(first: 0, class: none)]
        var index = 0
        while index < changes.count {
            let value = changes[index].value
            var touched: Set<Int> = []
            while index < changes.count, changes[index].value == value {
                set.flip(changes[index].position)
                touched.insert(changes[index].position / 64 / ClassPool.blockWords)
                index += 1
            }
            for block in touched.sorted() { blocks[block] = pool.block(block, of: set) }
            let number = pool.number(of: blocks)
            if value == 0 {
                segments[0].class = number
            } else if number != segments[segments.count - 1].class {
                segments.append(Segment(first: value, class: number))
            }
        }
        return segments
    }
}
