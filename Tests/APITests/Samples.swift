// SPDX-License-Identifier: Apache-2.0

import SluiceAPI

/// One of each thing that the API gives, with every optional filled.
enum Samples {
    static let counters = StageCounters(
        packets: 1_234_567, bytes: 98_765_432_100,
        verdicts: [
            "drop": Count(packets: 1_000_000, bytes: 64_000_000), "next": Count(packets: 234_567, bytes: 15_012_288),
        ])

    static let gap = FilteringGap(since: .boot, milliseconds: 3207, until: "2026-01-02T03:04:05Z")

    static let chain = ChainStatus(
        hook: "xdp:eth0", state: .live, live: 3, mode: "native", onFault: "pass",
        stages: [StageStatus(name: "dos", plugin: "volumetric-dos", version: "1.1", counters: counters)],
        rootFallbacks: 7, since: "2026-01-02T03:04:05Z", notes: ["generic mode: slow"], gap: gap)

    /// The same chain with a canary on it.
    static let canaryChain: ChainStatus = {
        var status = chain
        status.notes = []
        status.canary = canary
        return status
    }()

    static let canary = CanaryStatus(
        candidate: 4, share: 10, shares: [1, 10, 50], step: 2, seconds: 60, elapsed: 12.5, remaining: 107.5,
        abortIf: ["drop>+1%"], minPackets: 500, stable: counters,
        tried: StageCounters(packets: 100, bytes: 6_400, verdicts: ["drop": Count(packets: 25, bytes: 1_600)]),
        stages: [StageStatus(name: "dos", plugin: "volumetric-dos", version: "1.2", counters: nil)])

    static let emptyChain = ChainStatus(
        hook: "xdp:eth1", state: .missing, live: nil, mode: nil, onFault: "drop",
        stages: [StageStatus(name: "dos", plugin: "volumetric-dos", version: "1.1", counters: nil)],
        rootFallbacks: 0, since: nil, notes: [])

    static let generation = GenerationRecord(
        number: 3, state: .live, created: "2026-01-02T03:04:05Z", author: "root (uid 0)", message: "an attack",
        changes: ["~ stage dos: 1.0 -> 1.1"],
        stages: [StageRecord(name: "dos", plugin: "volumetric-dos", version: "1.1", artifact: "abcd")])

    static let stats = ChainStats(
        hook: "xdp:eth0", generation: 3,
        stages: [
            StageStats(
                name: "dos", counters: counters,
                tables: [
                    StatsTable(
                        name: "rules", columns: ["packets", "bytes"],
                        rows: [
                            StatsRow(label: "allow", values: [5, 1500]), StatsRow(label: "ntp", values: [123_456, 9]),
                        ]),
                    StatsTable(
                        name: "hits", columns: ["last"],
                        rows: [
                            StatsRow(label: "allow", values: [.time("2026-01-02T03:04:05Z")]),
                            StatsRow(label: "ntp", values: [.time(nil)]),
                        ]),

                ]),
            StageStats(name: "balancer", counters: nil, tables: []),
        ])

    static let plugin = PluginInfo(
        name: "volumetric-dos", version: "1.1", summary: "drops floods", hooks: ["xdp"],
        path: "/usr/lib/sluice/plugins/volumetric-dos/1.1", usedBy: ["xdp:eth0 dos"], problem: "no object file")

    static let plan = PlanReport(chains: [
        ChainPlan(hook: "xdp:eth0", action: .update, lines: ["~ stage dos: 1.0 -> 1.1"], notes: ["generic mode"])
    ])

    static let change = ChangeReport(chains: [
        ChainChange(
            hook: "xdp:eth0", from: 2, to: 3, canary: 4, lines: ["built generation 3"],
            timings: [Timing(step: "load", milliseconds: 12.346)])
    ])

    static let doctor = DoctorReport(findings: [
        Finding(level: .ok, subject: "kernel", message: "6.18"),
        Finding(
            level: .problem, subject: "xdp:eth0", message: "nothing is attached", remedy: "apply the spec again"),
    ])

    static let repaired = Finding(
        level: .problem, subject: "xdp:eth1", message: "nothing is attached", remedy: "look", repairable: true,
        repaired: "attached it")

    static let diff = GenerationDiff(hook: "xdp:eth0", from: 2, to: 3, lines: ["~ stage dos:", "    ~ limit: 1 -> 2"])

    static let probe = ProbeReport(
        kernel: "6.1.0",
        items: [
            ProbeItem(
                group: "hook", name: "tcx", supported: false, required: false,
                reason: "not supported (requires Linux 6.6)", remedy: "boot a newer kernel"),
            ProbeItem(group: "hook", name: "xdp", supported: true, required: true, reason: "packets off the wire"),
        ])

    static let map = MapInfo(
        name: "flows", type: "percpu_hash", keyType: "struct flow {port: __be16}", valueType: "__u64", maxEntries: 4096,
        entries: 1, more: false, role: .state, frozen: false)

    static let maps = StageMaps(
        hook: "xdp:eth0", stage: "dos", generation: 3,
        maps: [
            map,
            MapInfo(
                name: "ring", type: "ringbuf", keyType: nil, valueType: nil, maxEntries: 8192, entries: nil,
                more: false, role: .configuration, frozen: true),
        ])

    static let dump = MapDump(
        hook: "xdp:eth0", stage: "dos", generation: 3, map: map,
        entries: [TypedEntry(key: ["port": 443], value: 3, cpus: [1, 2])])

    static let mapChange = MapChange(
        hook: "xdp:eth0", stage: "dos", map: "flows", generation: 3, entries: 1, notes: ["the next apply undoes it"])

    static let stageChange = StageChangeReport(
        hook: "xdp:eth0", stage: "dos", generation: 3, lines: ["added rule x"], notes: ["both see it"],
        timings: [Timing(step: "plugin", milliseconds: 12.346)])

    static let inspection = StageInspection(
        hook: "xdp:eth0", stage: "dos", generation: 3, columns: ["rule", "packets", "last"],
        rows: [["x", 1234, "2026-01-02T03:04:05Z"], ["y", .unsigned(.max), .null]], notes: ["254 slots are free"])

    static let programs = ProgramReport(
        programs: [
            AttachedProgram(
                interface: "eth0", hook: .xdp, position: .native, id: 7, name: "sluice_root", link: 3,
                pins: ["/sys/fs/bpf/sluice/xdp:eth0/root"], chain: "xdp:eth0"),
            AttachedProgram(interface: "eth1", netns: "/run/netns/edge", hook: .tcx, position: .egress, id: 9),
            AttachedProgram(cgroup: "/dns.slice", hook: .cgroup, position: .skbIngress, id: 11, name: "sd_fw_ingress"),
        ], notes: ["/run/netns/far: not looked into"])

    static let sockets = SocketGroupReport(
        hook: "socket-filter:dns",
        sockets: [
            SocketMember(
                transport: "udp", local: "0.0.0.0:53", state: .open, joined: "2026-01-02T03:04:05Z", byRule: true,
                cookie: 7, inode: 4711, netns: 4_026_531_840, pid: 812, command: "named"),
            SocketMember(
                transport: "tcp", local: "[::]:53", state: .closing, joined: "2026-01-02T03:04:05Z", byRule: false,
                cookie: 8, inode: 0, netns: 4_026_531_840),
        ], missed: ["0.0.0.0:53/udp of process 9 (nsd): its filter is locked"])

    static let garbage = GCReport(removed: ["artifact abcd"])

    static let version = VersionInfo(version: "0.1.0", api: 1, pluginProtocol: 1, kernel: "6.18.0")

    static func event(_ id: Int64, _ action: String = "apply", outcome: String = "done") -> Event {
        Event(
            id: id, time: "2026-01-02T03:04:05Z", action: action, hook: "xdp:eth0", outcome: outcome,
            author: "root (uid 0)", message: "generation \(id)")
    }
}
