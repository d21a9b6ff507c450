// SPDX-License-Identifier: Apache-2.0

public import StageKit

extension Configuration {
    /// What the manager loads at `tc-egress`: the program for the director's own health checks.
    /// - Throws: ``StageError`` for what cannot work.
    public func checksPlan() throws(StageError) -> StagePlan {
        try check()
        let checks = CheckPorts(self)
        let summary =
            checks.count > 0
            ? "health checks from ports \(director.checkPorts) go through the tunnel"
            : "warning: no health check by TCP goes through the tunnel (`to: vip`): all goes on as it is"
        return StagePlan(
            object: "checks.bpf.o", program: "l4lb_checks",
            constants: checks.constants.merging(tunnel) { one, _ in one },
            maps: ["checks": checks.map], verdicts: [.drop, .next],
            counters: [
                CounterTable(
                    name: "checks", map: "check_counters", columns: ["packets", "bytes"], rows: ["tunnelled", "lost"])
            ], summary: [summary], runs: false)
    }

    /// What the manager loads at `xdp`.
    /// - Throws: ``StageError`` for what cannot work.
    public func plan() throws(StageError) -> StagePlan {
        try check()
        let layout = ServiceLayout(self)
        let tables = Tables(self)
        let checks = CheckPorts(self)
        return StagePlan(
            object: "l4lb.bpf.o", program: "l4lb", frags: true, constants: constants(layout, checks),
            maps: maps(layout, tables, checks), verdicts: [.drop, .tx, .redirect, .next], samples: samples,
            counters: counters, live: LiveMaps.names, summary: summary(checks) + warnings(layout),
            runs: pools.contains { $0.check != nil })
    }

    private var localServer: Server? { servers.first { $0.name == local } }

    private static let noAddress = [UInt8](repeating: 0, count: 16)

    /// What both programs know of the tunnel.
    private var tunnel: [String: Constant] {
        [
            "source_v4": .bytes(Bytes(director.sourceV4?.bytes ?? [0, 0, 0, 0])),
            "source_v6": .bytes(Bytes(director.sourceV6?.bytes ?? Self.noAddress)),
            "gue_port": .integer(Int64(guePort)),
        ]
    }

    /// A map has at least one entry; what is not in use is not looked at.
    private static func exactly(_ entries: [MapEntry], freeze: Bool = true) -> MapPlan {
        MapPlan(maxEntries: UInt32(max(1, entries.count)), entries: entries, freeze: freeze)
    }

    private func constants(_ layout: ServiceLayout, _ checks: CheckPorts) -> [String: Constant] {
        let local = localServer
        let own: [String: Constant] = [
            "lengths_v4": .bytes(layout.lengths(isIPv4: true)),
            "lengths_v6": .bytes(layout.lengths(isIPv4: false)),
            "vip_filter": .bytes(layout.filter),
            "has_ranges": .boolean(layout.hasRanges),
            "answers_echo": .boolean(icmpEcho),
            "has_quic": .boolean(services.contains(where: \.quic)),
            "quic_config": .integer(Int64(quicConfig)),
            "mtu": .integer(Int64(director.mtu)),
            "too_big_rate": .integer(Int64(director.tooBigRate)),
            "by_route": .boolean(director.route == .kernel),
            "hash_seed": .unsigned(director.hashSeed),
            "local_server": .integer(Int64(local?.number ?? 0)),
            "local_v4": .bytes(Bytes(local.flatMap { $0.address.isIPv4 ? $0.address.bytes : nil } ?? [0, 0, 0, 0])),
            "local_v6": .bytes(Bytes(local.flatMap { $0.address.isIPv4 ? nil : $0.address.bytes } ?? Self.noAddress)),
        ]
        return own.merging(tunnel) { one, _ in one }.merging(checks.constants) { one, _ in one }
    }

    private func maps(_ layout: ServiceLayout, _ tables: Tables, _ checks: CheckPorts) -> [String: MapPlan] {
        [
            "checks": checks.map,
            "services_by_port": Self.exactly(layout.byPort),
            "vips": Self.exactly(layout.vips),
            "services": Self.exactly(layout.entries(tables.firstChunks)),
            "tables": Self.exactly(tables.entries),
            "quic_members": Self.exactly(layout.quicMembers(tables.firstChunks)),
            // As many as are looked at.
            LiveMaps.servers: MapPlan(
                maxEntries: UInt32((servers.map(\.number).max() ?? 0) + 1),
                entries: servers.enumerated().map { place, server in
                    MapEntry(key: Bytes(number: UInt32(server.number)), value: server.packed(counter: place))
                }),
            "service_counters": MapPlan(maxEntries: UInt32(max(1, services.count))),
            "server_counters": MapPlan(maxEntries: UInt32(max(1, servers.count))),
        ]
    }

    private var counters: [CounterTable] {
        let columns = ["packets", "bytes"]
        let tables = [
            CounterTable(
                name: "verdicts", map: "verdicts", columns: columns, rows: Outcome.allCases.map(\.label)),
            CounterTable(
                name: "services", map: "service_counters", columns: columns, rows: services.map(\.name)),
            CounterTable(name: "servers", map: "server_counters", columns: columns, rows: servers.map(\.name)),
        ]
        return tables.filter { !$0.rows.isEmpty }
    }
}

/// The forwarding tables of all pools.
struct Tables {
    /// Where each pool's begins, by its name.
    private(set) var firstChunks: [String: Int] = [:]
    private(set) var entries: [MapEntry] = []

    init(_ configuration: Configuration) {
        let servers = Dictionary(
            configuration.servers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        // Pools of the same servers have the same table.
        var chunks: [Pool.Table: Int] = [:]
        for pool in configuration.pools {
            let kind = pool.table
            if let first = chunks[kind] {
                firstChunks[pool.name] = first
                continue
            }
            chunks[kind] = entries.count
            firstChunks[pool.name] = entries.count
            let table = RankingTable(pool.servers.compactMap { servers[$0] }, entries: pool.entries)
            let chunk = min(pool.entries, ServiceLayout.chunk)
            for start in stride(from: 0, to: pool.entries, by: chunk) {
                let ranks = table.ranks[start * RankingTable.depth..<(start + chunk) * RankingTable.depth]
                let bytes = ranks.withUnsafeBytes { Array($0) }
                // A small table is there several times.
                let copies = (0..<ServiceLayout.chunk / chunk).flatMap { _ in bytes }
                entries.append(MapEntry(key: Bytes(number: UInt32(entries.count)), value: Bytes(copies)))
            }
        }
    }
}
