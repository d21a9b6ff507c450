// SPDX-License-Identifier: Apache-2.0

extension Rule {
    /// That many rules of a shape get words of their own.
    private static let many = 32

    /// Rules' places in an order of bits: those that decide first, then by what they ask for, as rules alike are held
    /// against a packet 64 at a time. Words in which rules are not alike pass for more packets, so a shape of many rules
    /// begins a word if there is room; nil for the bits that this leaves over.
    static func inOrderOfBits(_ rules: [Rule]) -> [Int?] {
        let shapes = rules.map(\.shape)
        var sizes: [Int: Int] = [:]
        for shape in shapes { sizes[shape, default: 0] += 1 }
        let isFew = rules.count <= RuleSet.few
        // The rules of all shapes that are rare are together.
        let groups = zip(rules, shapes).map { rule, shape in
            (rule.decides ? 0 : 1 << 32) + (!isFew && sizes[shape]! >= many ? shape : 1 << 31)
        }
        let order = rules.indices.sorted { (groups[$0], shapes[$0], $0) < (groups[$1], shapes[$1], $1) }
        guard !isFew else { return order }
        var spread: [Int?] = []
        for (place, index) in order.enumerated() {
            if place > 0, groups[index] != groups[order[place - 1]] {
                spread += [Int?](repeating: nil, count: (64 - spread.count % 64) % 64)
            }
            spread.append(index)
        }
        return spread.count <= Configuration.maximumRules ? spread : order
    }

    /// A bit for each field that it asks for.
    private var shape: Int {
        Field.allCases.reduce(0) { shape, field in
            intervals(field, field.domains[0]) == nil ? shape : shape | 1 << field.rawValue
        }
    }
}
