// SPDX-License-Identifier: Apache-2.0

import BPF
import StageKit
import StageTesting

/// How long it takes from the start of the command line until packets are judged by what it says, in a stage of 10,000
/// rules.
enum RuleChangeBench {
    private static let rules = 10_000
    private static let runs = 10

    static func run(_ lab: Lab) throws -> [Figure] {
        let site = try LabSite(lab, plugins: ["volumetric-dos-1_1"])
        try site.start()
        var replaced = Series()
        for number in 0..<runs {
            let hit: DoSBench.Hit = number.isMultiple(of: 2) ? .none : .last
            let spec = DoSBench.spec(hook: "xdp:edge0", rules: rules, hit)
            replaced.add(
                try milliseconds(until: hit == .none ? .pass : .drop, site) { try site.apply(spec) })
        }
        try site.apply(DoSBench.spec(hook: "xdp:edge0", rules: rules, .none))
        var (added, removed) = (Series(), Series())
        for _ in 0..<runs {
            added.add(
                try milliseconds(until: .drop, site) {
                    try site.must("rule", "add", "xdp:edge0", "dos", "name: new, source: 10.9.0.0/24")
                })
            removed.add(
                try milliseconds(until: .pass, site) { try site.must("rule", "remove", "xdp:edge0", "dos", "new") })
        }
        let withRules = try mapMemory(site)
        try site.apply(
            """
            chains:
              - hook: xdp:edge0
                stages:
                  - name: dos
                    plugin: volumetric-dos
                    config: {buckets: 1048576, limits: [{per: source, packets-per-second: 100}]}
            """)
        let withSources = try mapMemory(site)
        return [
            Figure("maps of 10,000 rules", "MiB", withRules, note: "of mixed fields"),
            Figure("maps of no rule and 1,048,576 buckets", "MiB", withSources, note: "one for each source at a time"),
            Figure("apply that replaces 10,000 rules", "ms", replaced),
            Figure("rule add to 10,000 rules", "ms", added, note: "goal 50"),
            Figure("rule remove from 10,000 rules", "ms", removed, note: "goal 50"),
        ]
    }

    /// What the kernel says that the maps of the live generation take, the counters of all CPUs included.
    private static func mapMemory(_ site: LabSite) throws -> Series {
        let pins = try site.pins()
        let generations = pins.compactMap { $0.wholeMatch(of: /.*\/g(\d+)/).flatMap { Int($0.1) } }
        let live = ["g\(generations.max() ?? 0)", "state"].map { "\(site.hookFolder)/\($0)/" }
        var total = 0.0
        for pin in pins where live.contains(where: pin.hasPrefix) {
            guard let map = try? BPFMap.pinned(at: pin) else { continue }
            total += Double(map.memory() ?? 0)
        }
        var series = Series()
        series.add(total / 1_048_576)
        return series
    }

    /// The change must have had its effect when the command line returns.
    private static func milliseconds(until verdict: Verdict, _ site: LabSite, _ change: () throws -> Void) throws
        -> Double
    {
        let time = try ContinuousClock().milliseconds(change)
        let root = try BPFProgram.pinned(at: "\(site.hookFolder)/root")
        guard try root.testRun(packet: ChainBench.packet).returnValue == verdict.number else {
            throw LabError("the change had no effect")
        }
        return time
    }
}
