// SPDX-License-Identifier: Apache-2.0

public import StageKit

extension Configuration {
    private static let bucketsPerSet = 8
    /// Sets of `offenders`.
    private static let offenderSets = 1024
    /// In the summary.
    private static let policiesShown = 64

    /// What the manager loads.
    /// - Throws: ``StageError`` for what cannot work.
    public func plan(in context: PlanContext) throws(StageError) -> StagePlan {
        try check()
        let layout = Layout(self)
        return StagePlan(
            object: context.kind == .socketFilter ? "udp_ratelimit_socket.bpf.o" : "udp_ratelimit_cgroup.bpf.o",
            program: "udp_ratelimit", constants: constants(layout), maps: maps(layout), verdicts: [.drop, .next],
            samples: samples, counters: counters, live: LiveMaps.names, summary: summary)
    }

    private func constants(_ layout: Layout) -> [String: Constant] {
        func any(isAddress: Bool, isIPv4: Bool) -> Constant {
            .boolean(
                layout.places.contains { $0.destination.isAddress == isAddress && $0.destination.isIPv4 == isIPv4 })
        }
        let rates = policies.flatMap { [$0.perAddress, $0.perPrefix, $0.perSource?.rate].compactMap(\.self) }
        var constants: [String: Constant] = [
            "has_addresses_v4": any(isAddress: true, isIPv4: true),
            "has_addresses_v6": any(isAddress: true, isIPv4: false),
            "has_prefixes_v4": any(isAddress: false, isIPv4: true),
            "has_prefixes_v6": any(isAddress: false, isIPv4: false),
            "has_ports": .boolean(ports != nil),
            // In the order of enum sluice_when_full.
            "when_full": .integer(Int64(WhenFull.allCases.firstIndex(of: whenFull)!)),
            "furthest": .unsigned(rates.map(\.furthest).max() ?? 0),
            "last_bucket_set": .integer(Int64(buckets / Self.bucketsPerSet - 1)),
            "last_offender_set": .integer(Int64(Self.offenderSets - 1)),
        ]
        if let ports { constants["ports"] = .bytes(ports.bitmap) }
        return constants
    }

    private func maps(_ layout: Layout) -> [String: MapPlan] {
        func destinations(isAddress: Bool, isIPv4: Bool) -> MapPlan {
            let entries = layout.places.lazy.filter {
                $0.destination.isAddress == isAddress && $0.destination.isIPv4 == isIPv4
            }.map(\.entry)
            // A map has at least one entry; what is not in use is not looked at.
            return MapPlan(maxEntries: UInt32(max(1, entries.count)), entries: Array(entries), freeze: true)
        }
        return [
            "addresses_v4": destinations(isAddress: true, isIPv4: true),
            "addresses_v6": destinations(isAddress: true, isIPv4: false),
            "prefixes_v4": destinations(isAddress: false, isIPv4: true),
            "prefixes_v6": destinations(isAddress: false, isIPv4: false),
            LiveMaps.policies: MapPlan(
                maxEntries: UInt32(policies.count),
                entries: policies.enumerated().map { MapEntry(key: Bytes(number: UInt32($0)), value: $1.packed) }),
            "policy_counters": MapPlan(maxEntries: UInt32(policies.count)),
            "own_buckets": MapPlan(maxEntries: UInt32(layout.buckets)),
            "buckets": MapPlan(maxEntries: UInt32(buckets / Self.bucketsPerSet)),
            LiveMaps.drops: MapPlan(maxEntries: UInt32(layout.buckets / Layout.group)),
            LiveMaps.offenders: MapPlan(maxEntries: UInt32(Self.offenderSets)),
        ]
    }

    private var counters: [CounterTable] {
        [
            CounterTable(
                name: "policies", map: "policy_counters", columns: PolicyCounts.columns, rows: policies.map(\.name)),
            CounterTable(
                name: "others", map: "reasons", columns: ["packets", "bytes"],
                // In the order of enum udp_reason.
                rows: ["no-policy", "other-port", "not-udp", "not-ip"]),
        ]
    }

    private var summary: [String] {
        let limited = ports.map { "UDP to port \($0.texts.joined(separator: ", "))" } ?? "UDP to all ports"
        var lines = ["limit \(limited)"]
        for policy in policies.prefix(Self.policiesShown) { lines += policy.summary }
        if policies.count > Self.policiesShown {
            lines.append("and \(policies.count - Self.policiesShown) more policies")
        }
        return lines
    }
}

/// The columns of a policy's counters: `struct udp_policy_count`.
enum PolicyCounts {
    static let columns = ["admitted", "over-source", "over-address", "over-prefix", "full"]
}
