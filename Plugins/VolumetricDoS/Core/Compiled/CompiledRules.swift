// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Rules as the program looks them up: what bpf/volumetric-dos/types.h lays out. Change both, and the tests will tell.
struct CompiledRules {
    /// The rules' places in the configuration, in their order of bits; nil for a bit that is no rule's.
    let ranks: [Int?]
    let fields: [FieldClasses]
    private var rows = Rows()
    private var trees = AddressTrees()
    private var packedFields = Bytes()
    private var packedTrees = Bytes()
    private let packedRules: [Bytes]
    private let packedLimits: [Bytes]
    private let looksAtPayload: Bool

    /// - Throws: ``StageError`` for ranges that are too many and overlap in too many ways.
    init(_ rules: [Rule]) throws(StageError) {
        ranks = Rule.inOrderOfBits(rules)
        let ordered = ranks.map { rank in rank.map { rules[$0] } }
        let found = Field.allCases.compactMap { FieldClasses($0, ordered, isNeeded: false) }
        // Rules on the payload alone are in the classes of some field too.
        let fallback = found.isEmpty && !rules.isEmpty ? FieldClasses(.protocol, ordered, isNeeded: true) : nil
        fields = found + [fallback].compactMap(\.self)
        looksAtPayload = rules.contains { $0.payload != nil }
        var limits: [Bytes] = []
        packedRules = ranks.map { rank in
            guard let rank else { return Rule().packed(rank: Int(UInt32.max), limit: 0) }
            if let limit = rules[rank].limit { limits.append(limit.packed(in: rules[rank].place(rank))) }
            return rules[rank].packed(rank: rank, limit: max(0, limits.count - 1))
        }
        packedLimits = limits
        for field in fields {
            guard field.pool.blocks.count <= 1 << 16, field.pool.classes.count <= 1 << 16 else {
                throw StageError(
                    "have too many ranges that overlap in too many ways (\(field.field)); "
                        + "use fewer ranges, or ranges that are alike")
            }
        }
        pack()
    }

    private mutating func pack() {
        var (classes, blocks) = (0, 0)
        for number in Field.allCases {
            let field = fields.first { $0.field == number }
            let first = field.map { row(of: $0) } ?? 0
            for value in [field == nil ? 0 : 1, classes, blocks, first, field?.none ?? 0, 0] {
                packedFields.append(UInt32(value))
            }
            packedFields.append(bytes: (field?.asking ?? RuleSet(rules: 0)).summary(few: isFew).raw)
            classes += field?.pool.classes.count ?? 0
            blocks += field?.pool.blocks.count ?? 0
        }
        for number in [Field.source, .destination] {
            let segments = fields.first { $0.field == number }?.segments ?? [[Segment(first: 0, class: 0)]]
            packedTrees.append(bytes: trees.v4(segments[0]).raw)
            packedTrees.append(bytes: trees.v6(segments[segments.count - 1]).raw)
        }
    }

    private mutating func row(of field: FieldClasses) -> Int {
        switch field.field.domains[0] {
        case .v4, .v6: 0
        case .number, .icmp: rows.wide(field.segments)
        case .byte: rows.byte(field.segments[0])
        }
    }

    /// Whether a summary has a bit for each rule.
    private var isFew: Bool { ranks.count <= RuleSet.few }

    var constants: [String: Constant] {
        let words = (ranks.count + 63) / 64
        return [
            "summaries": .integer(Int64(isFew ? words : (words + 63) / 64)), "few_rules": .boolean(isFew),
            "fields": .bytes(packedFields),
            "trees": .bytes(packedTrees), "rules_with_payload": .boolean(looksAtPayload),
        ]
    }

    /// Each a `struct dos_word`.
    private var packedWords: [Bytes] {
        stride(from: 0, to: ranks.count, by: 64).map { start in
            var bytes = Bytes(number: UInt32(ranks[start..<min(ranks.count, start + 64)].compactMap(\.self).min() ?? 0))
            bytes.append(
                fields.reduce(UInt32(0)) { mask, field in
                    field.asking.words[start / 64] == 0 ? mask : mask | 1 << UInt32(field.field.rawValue)
                })
            return bytes
        }
    }

    var maps: [String: MapPlan] {
        [
            "rules": MapPlan(array: packedRules), "words": MapPlan(array: packedWords),
            "classes": MapPlan(array: fields.flatMap { $0.pool.packedClasses(few: isFew) }),
            "blocks": MapPlan(array: fields.flatMap(\.pool.packedBlocks)),
            "rule_limits": MapPlan(array: packedLimits),
            "rows": MapPlan(array: rows.packed), "nodes": MapPlan(array: trees.nodes),
            "leaves": MapPlan(array: trees.leaves), "slices": MapPlan(array: trees.slices),
            "lows": MapPlan(array: trees.lows),
        ]
    }
}

extension Rule {
    /// `enum dos_action`, whose order ``Action`` has.
    var actionNumber: UInt8 { UInt8(Action.allCases.firstIndex(of: action)!) }

    /// What its limit's buckets go by.
    func place(_ rank: Int) -> String { "rule \(name ?? String(rank))" }

    /// A `struct dos_rule`.
    fileprivate func packed(rank: Int, limit: Int) -> Bytes {
        var bytes = Bytes()
        bytes.append(UInt32(rank))
        bytes.append(UInt16(actionNumber))
        bytes.append(UInt16(dryRun ? 1 : 0))
        bytes.append(UInt32(limit))
        bytes.append(sample?.threshold ?? 0)
        bytes.append(UInt16(payload?.offset ?? 0))
        bytes.append(UInt16(payload?.bytes.raw.count ?? 0))
        bytes.append(bytes: packedPayload)
        return bytes
    }

    /// Bytes and mask, filled up.
    var packedPayload: [UInt8] {
        [payload?.bytes.raw ?? [], payload?.mask.raw ?? []].flatMap { part in
            part + [UInt8](repeating: 0, count: PayloadMatch.longest - part.count)
        }
    }
}

extension MapPlan {
    /// An array; a map has at least one entry, and what is not in use is not looked at.
    init(array values: [Bytes]) {
        self.init(
            maxEntries: UInt32(max(1, values.count)),
            entries: values.enumerated().map { MapEntry(key: Bytes(number: UInt32($0)), value: $1) }, freeze: true)
    }
}
