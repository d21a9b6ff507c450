// SPDX-License-Identifier: Apache-2.0

public import StageKit

extension Configuration {
    static let maximumClasses = 192
    /// `EGRESS_CONTROLS`.
    static let maximumControls = 64
    /// `EGRESS_MARK_MASKS`.
    static let maximumMarkMasks = 4
    /// `EGRESS_CGROUPS`.
    static let maximumCgroups = 32
    /// Of all lists together.
    static let maximumPrefixes = 262_144
    static let maximumReasons = 1024
    /// Rows of the table of classes that are no class.
    public static let other = "other"
    public static let notIP = "not-ip"

    /// What the manager has to load.
    /// - Throws: ``StageError`` for what cannot work.
    public func plan(in context: PlanContext = .unknown) throws(StageError) -> StagePlan {
        let isIngress = context.kind == .tcIngress
        let matching = Matching(self, isIngress: isIngress)
        try check(matching, isIngress: isIngress)
        let (sources, destinations) = tables(matching, isIngress: isIngress)
        let names = classes.map(\.name)
        let rest = TrafficClass(Self.other, sample: sample)
        let packed = zip(
            classes + [rest, TrafficClass(Self.notIP, sample: sample)], TrafficClass.slots(names + ["", " "])
        )
        .map { $0.packed(slot: $1) }
        var maps = matching.maps
        maps["classes"] = MapPlan(maxEntries: UInt32(packed.count), entries: array(packed), freeze: true)
        maps["class_counters"] = MapPlan(maxEntries: UInt32(packed.count))
        maps["block_counters"] = MapPlan(maxEntries: UInt32(max(1, blockReasons.count)))
        var known: [String: Constant] = [:]
        for (name, table) in [("sources", sources), ("destinations", destinations)] {
            for (family, isIPv4) in [("v4", true), ("v6", false)] {
                maps["\(name)_\(family)"] = table.plan(isIPv4: isIPv4)
                known["\(name)_known_\(family)"] = .boolean(!table.isEmpty(isIPv4: isIPv4))
            }
        }
        let samples = isSampling
        return StagePlan(
            object: "tc_egress.bpf.o", program: "tc_egress",
            constants: matching.constants.merging(known) { $1 }.merging(constants(isIngress: isIngress)) { $1 },
            maps: maps, verdicts: [.drop, .next], samples: self.samples(isIngress: isIngress), counters: counters,
            summary: summary(isIngress: isIngress), ring: samples ? "samples" : nil, runs: samples,
            cgroups: matching.cgroups.enumerated().map { index, cgroup in
                CgroupReference(cgroup, map: "cgroups", key: Bytes(number: UInt32(index)))
            },
            needs: classes.contains { $0.pace != nil } ? [.fq] : [])
    }

    var isSampling: Bool { sample != nil || classes.contains { $0.sample != nil } }

    private func tables(_ matching: Matching, isIngress: Bool) -> (sources: PrefixTable, destinations: PrefixTable) {
        var sources = PrefixTable(others: matching.others { !$0.source.isEmpty })
        var destinations = PrefixTable(others: matching.others { !$0.destination.isEmpty })
        for (number, condition) in matching.conditions.enumerated() {
            for prefix in condition.source { sources.match(prefix, number) }
            for prefix in condition.destination { destinations.match(prefix, number) }
        }
        for prefix in sourceGuard { sources.own(prefix) }
        func judge(_ table: inout PrefixTable) {
            for prefix in allow { table.allow(prefix) }
            let numbers = Dictionary(uniqueKeysWithValues: blockReasons.enumerated().map { ($1, $0) })
            for block in block {
                for prefix in block.prefixes { table.block(prefix, reason: numbers[block.reason]!) }
            }
        }
        if isIngress { judge(&sources) } else { judge(&destinations) }
        return (sources, destinations)
    }

    private func constants(isIngress: Bool) -> [String: Constant] {
        func any(_ does: (TrafficClass) -> Bool) -> Constant { .boolean(classes.contains(where: does)) }
        return [
            "link_header": .integer(link == .ethernet ? 14 : 0),
            "counts_segments": .boolean(lengths == .wire),
            "is_ingress": .boolean(isIngress),
            "guards": .boolean(!sourceGuard.isEmpty),
            "class_count": .integer(Int64(classes.count)),
            "polices": any { $0.police != nil },
            "paces": any { $0.pace != nil },
            "marks": any { $0.set.mark != nil },
            "sets_service": any { $0.set.dscp != nil },
            "clamps": any { $0.set.mss != nil },
            "samples_any": .boolean(isSampling),
            "horizon": .integer(Int64(horizon.milliseconds) * 1_000_000),
        ]
    }

    private var counters: [CounterTable] {
        var tables = [
            CounterTable(
                name: "reasons", map: "reasons", columns: ["packets", "bytes"], rows: Reason.allCases.map(\.label)),
            CounterTable(
                name: "classes", map: "class_counters",
                columns: [
                    "packets", "bytes", "policed", "policed-bytes", "too-late", "too-late-bytes", "refused",
                    "rewritten",
                    "unsampled",
                ], rows: classes.map(\.name) + [Self.other, Self.notIP]),
        ]
        if !block.isEmpty {
            tables.append(
                CounterTable(name: "blocks", map: "block_counters", columns: ["packets", "bytes"], rows: blockReasons))
        }
        return tables
    }
}

extension PlanContext {
    /// For plans that do not depend on when and where.
    public static var unknown: PlanContext { PlanContext(hook: "tc-egress:eth0", stage: "egress") }
}
