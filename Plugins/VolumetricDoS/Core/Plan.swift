// SPDX-License-Identifier: Apache-2.0

public import StageKit

extension Configuration {
    /// More than these are refused.
    public static let maximumRules = 10_240
    public static let maximumPrefixes = 65536
    /// In the summary.
    private static let rulesShown = 250
    private static let warningsShown = 20

    /// What version 1.0 has the manager load.
    /// - Throws: ``StageError`` for what cannot work.
    public func plan() throws(StageError) -> StagePlan {
        try check()
        let compiled: CompiledRules
        do {
            compiled = try CompiledRules(rules)
        } catch {
            throw StageError(error.message, at: "rules")
        }
        return StagePlan(
            object: "volumetric_dos.bpf.o", program: "volumetric_dos", frags: true,
            constants: constants.merging(compiled.constants) { $1 }, maps: maps.merging(compiled.maps) { $1 },
            verdicts: [.drop, .next], samples: samples(prefixLimit: nil), counters: counters(Reason.inVersion1_0),
            summary: summary + warnings(compiled.shadowed(rules)))
    }

    private func check() throws(StageError) {
        var prefixes: Set<IPPrefix> = []
        guard allow.count <= Self.maximumPrefixes else {
            throw StageError("has \(allow.count) prefixes; at most \(Self.maximumPrefixes) are possible", at: "allow")
        }
        for (index, prefix) in allow.enumerated() where !prefixes.insert(prefix).inserted {
            throw StageError("\(prefix) is there twice", at: "allow[\(index)]")
        }
        guard rules.count <= Self.maximumRules else {
            throw StageError("has \(rules.count) rules; at most \(Self.maximumRules) are possible", at: "rules")
        }
        var names: Set<String> = []
        for (index, rule) in rules.enumerated() {
            do {
                try rule.check()
            } catch {
                throw StageError(error.message, at: "rules[\(index)]" + (error.path.isEmpty ? "" : ".\(error.path)"))
            }
            guard names.insert(label(index)).inserted else {
                throw StageError("\"\(label(index))\" is another rule's name", at: "rules[\(index)].name")
            }
        }
    }

    /// What a rule's counters are called.
    func label(_ index: Int) -> String { rules[index].name ?? "rules[\(index)]" }

    private var constants: [String: Constant] {
        var constants: [String: Constant] = [
            "allows_v4": .boolean(allow.contains(where: \.isIPv4)),
            "allows_v6": .boolean(allow.contains { !$0.isIPv4 }),
            "dry_run": .boolean(dryRun),
            "passes_malformed": .boolean(malformed == .pass),
        ]
        if let limit {
            constants["limit_interval"] = .unsigned(limit.interval)
            constants["limit_tolerance"] = .unsigned(limit.tolerance)
        }
        return constants
    }

    private var maps: [String: MapPlan] {
        let (v4, v6) = (allow.filter(\.isIPv4), allow.filter { !$0.isIPv4 })
        return [
            // A map has at least one entry; what is not in use is not looked at.
            "rule_counters": MapPlan(maxEntries: UInt32(max(1, rules.count))),
            "allow_v4": MapPlan(maxEntries: UInt32(max(1, v4.count)), entries: v4.map(\.allowEntry), freeze: true),
            "allow_v6": MapPlan(maxEntries: UInt32(max(1, v6.count)), entries: v6.map(\.allowEntry), freeze: true),
        ]
    }

    func counters(_ reasons: [Reason]) -> [CounterTable] {
        let table = CounterTable(
            name: "reasons", map: "reasons", columns: ["packets", "bytes"], rows: reasons.map(\.label))
        guard !rules.isEmpty else { return [table] }
        let perRule = CounterTable(
            name: "rules", map: "rule_counters", columns: ["packets", "bytes", "dry-run"],
            rows: rules.indices.map(label))
        return [table, perRule]
    }

    private var summary: [String] {
        var lines: [String] = []
        if dryRun { lines.append("dry run: drops nothing, counts what it would drop") }
        if !allow.isEmpty { lines.append("allow from \(list(allow))") }
        lines.append(malformed == .drop ? "drop malformed packets" : "let malformed packets go on")
        lines += rules.prefix(Self.rulesShown).map { rule in
            let name = rule.name.map { " (\($0))" } ?? ""
            return
                "\(rule.dryRun ? "would " : "")\(rule.action.rawValue)\(name): \(rule.conditions.joined(separator: ", "))"
        }
        if rules.count > Self.rulesShown { lines.append("and \(rules.count - Self.rulesShown) more rules") }
        if let limit { lines.append("limit each source address to \(limit.summary)") }
        return lines
    }

    private func warnings(_ shadowed: [(rule: Int, by: Int)]) -> [String] {
        let lines = shadowed.prefix(Self.warningsShown).map { rule, other in
            "warning: \(label(rule)) is never reached, as \(label(other)) takes all of its packets"
        }
        let more = shadowed.count - lines.count
        return more > 0 ? lines + ["warning: \(more) more rules are never reached"] : lines
    }

    private func list(_ prefixes: [IPPrefix]) -> String {
        let shown = prefixes.prefix(8).map(\.description).joined(separator: ", ")
        return prefixes.count <= 8 ? shown : "\(shown) and \(prefixes.count - 8) more prefixes"
    }
}

extension Configuration1_1 {
    /// What version 1.1 has the manager load.
    /// - Throws: ``StageError`` for what cannot work.
    public func plan() throws(StageError) -> StagePlan {
        var plan = try base.plan()
        plan.counters = base.counters(Reason.allCases)
        plan.samples = base.samples(prefixLimit: prefixLimit)
        guard let prefixLimit else { return plan }
        plan.constants["prefix_limit_interval"] = .unsigned(prefixLimit.limit.interval)
        plan.constants["prefix_limit_tolerance"] = .unsigned(prefixLimit.limit.tolerance)
        plan.constants["prefix_mask_v4"] = .bytes(prefixLimit.maskV4)
        plan.constants["prefix_mask_v6"] = .bytes(prefixLimit.maskV6)
        plan.summary.append(
            "limit each source /\(prefixLimit.v4) of IPv4 and /\(prefixLimit.v6) of IPv6 to \(prefixLimit.limit.summary)"
        )
        return plan
    }
}

extension IPPrefix {
    fileprivate var allowEntry: MapEntry { MapEntry(key: trieKey, value: Bytes([1])) }
}
