// SPDX-License-Identifier: Apache-2.0

extension CompiledRules {
    /// Rules that no packet ever gets to, each with an earlier one that takes all of theirs.
    func shadowed(_ rules: [Rule]) -> [(rule: Int, by: Int)] {
        rules.indices.compactMap { index in
            candidates(rules[index]).first { $0 < index && rules[$0].alwaysDecides && rules[$0].covers(rules[index]) }
                .map { (index, $0) }
        }
    }

    /// The rules that agree to the first and the last values that a rule does, and ask for nothing that it does not ask
    /// for: few more than cover it.
    private func candidates(_ rule: Rule) -> [Int] {
        var words = [UInt64](repeating: .max, count: (ranks.count + 63) / 64)
        for field in fields {
            for number in field.classes(of: rule) {
                for (index, word) in field.words(of: number).prefix(words.count).enumerated() { words[index] &= word }
            }
        }
        var found: [Int] = []
        for (index, word) in words.enumerated() where word != 0 {
            var word = word
            while word != 0 {
                let position = index * 64 + word.trailingZeroBitCount
                if position < ranks.count, let rank = ranks[position] { found.append(rank) }
                word &= word - 1
            }
        }
        return found.sorted()
    }
}

extension FieldClasses {
    /// Those of the first and the last value that a rule agrees to; that of packets without the field if it asks for
    /// none.
    fileprivate func classes(of rule: Rule) -> [Int] {
        for (domain, segments) in zip(field.domains, self.segments) {
            guard let intervals = rule.intervals(field, domain) else { return [none] }
            let ends = [intervals.map(\.first).min(), intervals.map(\.last).max()].compactMap(\.self)
            if !ends.isEmpty { return ends.map { segments[segments.before($0)].class } }
        }
        return [none]
    }

    fileprivate func words(of number: Int) -> [UInt64] {
        pool.classes[number].flatMap { pool.blocks[$0] }
    }
}

extension Rule {
    /// Whether its conditions hold wherever those of another do.
    fileprivate func covers(_ other: Rule) -> Bool {
        (payload == nil || payload == other.payload)
            && Field.allCases.allSatisfy { field in
                field.domains.allSatisfy { domain in
                    guard let mine = intervals(field, domain) else { return true }
                    guard let theirs = other.intervals(field, domain) else { return false }
                    return theirs.allSatisfy { inner in
                        joined(mine).contains { $0.first <= inner.first && inner.last <= $0.last }
                    }
                }
            }
    }

    /// Intervals in order, those that touch made one.
    private func joined(_ intervals: [Interval]) -> [Interval] {
        var joined: [Interval] = []
        for interval in intervals {
            if let last = joined.last, last.last < .max, last.last + 1 == interval.first {
                joined[joined.count - 1].last = interval.last
            } else {
                joined.append(interval)
            }
        }
        return joined
    }
}
