// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples
public import StageKit

extension Configuration {
    /// More than these are refused.
    public static let maximumRules = 10_240
    public static let maximumPrefixes = 65536
    /// In the summary.
    private static let rulesShown = 250
    private static let warningsShown = 20

    /// `DOS_LIMITS`.
    static let maximumLimits = 8
    private static let bucketsPerSet = 8

    /// What version 1.0 has the manager load.
    /// - Throws: ``StageError`` for what cannot work.
    public func plan(in context: PlanContext = .unknown) throws(StageError) -> StagePlan {
        if let index = rules.firstIndex(where: { $0.sample != nil }) {
            throw StageError("version 1.0 takes no samples; use version 1.1", at: "rules[\(index)].sample")
        }
        return try plan(in: context, limits: limit.map { [$0] } ?? [])
    }

    /// - Parameter limits: The stage's, the one of the configuration first.
    func plan(in context: PlanContext, limits: [Limit]) throws(StageError) -> StagePlan {
        try check(at: context.time)
        let compiled: CompiledRules
        do {
            compiled = try CompiledRules(rules)
        } catch {
            throw StageError(error.message, at: "rules")
        }
        return StagePlan(
            object: "volumetric_dos.bpf.o", program: "volumetric_dos", frags: true,
            constants: constants(limits).merging(compiled.constants) { $1 },
            maps: maps(limits, context).merging(compiled.maps) { $1 }, verdicts: [.drop, .next],
            samples: samples(limits), counters: counters(limits), live: LiveMaps.names,
            summary: summary + limits.map { "limit \($0.summary)" } + warnings(compiled.shadowed(rules)))
    }

    private func check(at time: Int64) throws(StageError) {
        guard (64...16_777_216).contains(buckets), buckets & (buckets - 1) == 0 else {
            throw StageError("\(buckets): expected a power of two of 64 to 16777216", at: "buckets")
        }
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
                try rule.check(at: time)
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

    private func constants(_ limits: [Limit]) -> [String: Constant] {
        let packed = limits.flatMap { $0.packed(in: "stage").raw }
        let length = Limit.size * Self.maximumLimits
        return [
            "allows_v4": .boolean(allow.contains(where: \.isIPv4)),
            "allows_v6": .boolean(allow.contains { !$0.isIPv4 }),
            "dry_run": .boolean(dryRun),
            "passes_malformed": .boolean(malformed == .pass),
            "limits": .bytes(Bytes(packed + [UInt8](repeating: 0, count: length - packed.count))),
            "furthest": .integer(Int64((limits + rules.compactMap(\.limit)).map(\.furthest).max() ?? 0)),
            "last_bucket_set": .integer(Int64(buckets / Self.bucketsPerSet - 1)),
        ]
    }

    private func maps(_ limits: [Limit], _ context: PlanContext) -> [String: MapPlan] {
        let (v4, v6) = (allow.filter(\.isIPv4), allow.filter { !$0.isIPv4 })
        let known =
            limits.flatMap { $0.knownEntries(in: "stage") }
            + rules.enumerated().flatMap { rank, rule in rule.limit?.knownEntries(in: rule.place(rank)) ?? [] }
        let expiries = rules.enumerated().compactMap { rank, rule in
            rule.expiry(at: context.time).map { MapEntry(key: Bytes(number: UInt32(rank)), value: context.expiry($0)) }
        }
        return [
            // A map has at least one entry; what is not in use is not looked at.
            "rule_counters": MapPlan(maxEntries: UInt32(max(1, rules.count))),
            "rule_expiries": MapPlan(maxEntries: UInt32(max(1, rules.count)), entries: expiries),
            "buckets": MapPlan(maxEntries: UInt32(buckets / Self.bucketsPerSet)),
            "known": MapPlan(maxEntries: UInt32(max(1, known.count)), entries: known),
            "allow_v4": MapPlan(maxEntries: UInt32(max(1, v4.count)), entries: v4.map(\.allowEntry), freeze: true),
            "allow_v6": MapPlan(maxEntries: UInt32(max(1, v6.count)), entries: v6.map(\.allowEntry), freeze: true),
        ]
    }

    private func counters(_ limits: [Limit]) -> [CounterTable] {
        var tables = [
            CounterTable(
                name: "reasons", map: "reasons", columns: ["packets", "bytes"], rows: Reason.allCases.map(\.label))
        ]
        if !rules.isEmpty {
            tables.append(
                CounterTable(
                    name: "rules", map: "rule_counters", columns: ["packets", "bytes", "dry-run", "last"],
                    times: ["last"], rows: rules.indices.map(label)))
        }
        if !limits.isEmpty {
            tables.append(
                CounterTable(
                    name: "limits", map: "limit_counters", columns: ["packets", "bytes", "full"],
                    rows: limits.map(\.label)))
        }
        return tables
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
    public func plan(in context: PlanContext = .unknown) throws(StageError) -> StagePlan {
        let all = (base.limit.map { [$0] } ?? []) + limits
        guard all.count <= Configuration.maximumLimits else {
            throw StageError(
                "has \(all.count) with `limit`; at most \(Configuration.maximumLimits) are possible", at: "limits")
        }
        for index in all.indices where all[..<index].contains(where: { $0.label == all[index].label }) {
            let place = index - all.count + limits.count
            throw StageError("another limit is of \(all[index].label) already", at: "limits[\(place)]")
        }
        var plan = try base.plan(in: context, limits: all)
        let sampling = sampling ?? (auto == nil ? nil : .standard)
        plan.runs = sampling != nil
        guard let sampling else {
            if let index = base.rules.firstIndex(where: { $0.sample != nil }) {
                throw StageError("takes no effect without `sample`", at: "rules[\(index)].sample")
            }
            return plan
        }
        plan.ring = "samples"
        plan.constants["sample_interval"] = .integer(Int64(sampling.interval))
        plan.summary.append("sample up to \(sampling.packetsPerSecond) packets a second of each CPU")
        if let auto { plan.summary.append(auto.summary) }
        return plan
    }
}

extension PlanContext {
    /// For plans that do not depend on when and where.
    public static var unknown: PlanContext { PlanContext(hook: "xdp:eth0", stage: "dos") }

    /// A moment as the program holds it, in ns of CLOCK_TAI.
    func expiry(_ seconds: Int64) -> Bytes {
        var bytes = Bytes()
        bytes.append(UInt64(seconds + taiOffset) * 1_000_000_000)
        return bytes
    }
}

extension IPPrefix {
    fileprivate var allowEntry: MapEntry {
        // A struct dos_prefix_v4 or struct dos_prefix_v6.
        var key = Bytes(number: UInt32(length))
        key.append(bytes: address.bytes)
        return MapEntry(key: key, value: Bytes([1]))
    }
}
