// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// What can be shown: `{"list": "servers"}`, `{"list": "services"}`, `{"explain": {...}}`.
private struct Question: Decodable {
    enum List: String, Decodable, CaseIterable {
        case servers, services
    }

    var list: List?
    var explain: Flow?
}

extension LiveStage {
    /// The servers, the services, or where a flow goes and why.
    /// - Parameter configuration: The request's, as the stage's version reads it.
    public static func inspect(_ request: InspectRequest, _ configuration: Configuration) throws -> StageTable {
        let question = try request.request.decode(Question.self)
        let live = LiveServers(request.maps, names: request.labels["servers"] ?? [])
        switch (question.list, question.explain) {
        case (.servers, nil): return servers(configuration, live, request.counters)
        case (.services, nil): return services(configuration, live, request.counters["services"] ?? [])
        case (nil, let flow?): return try Explanation(flow, configuration, live).table
        default: throw StageError("expected either `list` or `explain`")
        }
    }

    private static func servers(
        _ configuration: Configuration, _ live: LiveServers, _ counters: [String: [[UInt64]]]
    ) -> StageTable {
        var pools: [String: [String]] = [:]
        for pool in configuration.pools {
            for name in pool.servers { pools[name, default: []].append(pool.name) }
        }
        let packets = counters["servers"] ?? []
        let rows: [[JSON]] = configuration.servers.enumerated().map { place, server in
            let found = live[server.name]
            let word = found?.word ?? server.initial
            let counts = place < packets.count ? packets[place] : [0, 0]
            return [
                .string(server.name), .integer(Int64(server.number)), .string(server.address.description),
                .string(word.text), .integer(Int64(found?.liveWeight ?? server.weight)),
                .integer(Int64(server.weight)), .string(shortened(pools[server.name] ?? [])),
            ] + counts.prefix(2).map { .integer(Int64(clamping: $0)) }
        }
        let checked = Set(configuration.pools.filter { $0.check != nil }.flatMap(\.servers))
        let forgotten = live.servers.filter { $0.word.isUnhealthy && !checked.contains($0.name) }.map(\.name)
        var notes = forgotten.prefix(8).map {
            "\($0) was found down by a check that is no longer configured; `lb up` takes it up"
        }
        if let unrouted = counters["verdicts"]?.dropFirst(Outcome.unrouted.rawValue).first?.first, unrouted > 0 {
            notes.append(
                "\(unrouted) packets were left to the kernel, as it knew no route or neighbour; if they become more, see "
                    + "`ip route get` of the servers' addresses, and `ip neigh`")
        }
        return StageTable(
            columns: ["server", "id", "address", "state", "weight", "configured", "pools", "packets", "bytes"],
            rows: rows, notes: notes)
    }

    private static func services(
        _ configuration: Configuration, _ live: LiveServers, _ counters: [[UInt64]]
    ) -> StageTable {
        let pools = Dictionary(configuration.pools.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let taking = Dictionary(
            live.servers.map { ($0.name, $0.takesNewFlows) }, uniquingKeysWith: { first, _ in first })
        let open = pools.mapValues { pool in pool.servers.count { taking[$0] ?? false } }
        let rows: [[JSON]] = configuration.services.enumerated().map { place, service in
            let counts = place < counters.count ? counters[place] : [0, 0]
            let pool = pools[service.pool]
            return [
                .string(service.name), .string(service.vip.description), .string(service.protocol.rawValue),
                .string(service.ports.description), .string(service.pool),
                .string(pool?.encapsulation.rawValue ?? ""), .integer(Int64(pool?.servers.count ?? 0)),
                .integer(Int64(open[service.pool] ?? 0)),
            ] + counts.prefix(2).map { .integer(Int64(clamping: $0)) }
        }
        let closed = Set(configuration.services.map(\.pool)).filter { open[$0] == 0 }.sorted()
        return StageTable(
            columns: [
                "service", "vip", "protocol", "port", "pool", "encapsulation", "servers", "open", "packets", "bytes",
            ], rows: rows,
            notes: closed.prefix(8).map {
                "no server of pool \($0) takes new connections: its packets go to servers as if nothing were known of them"
            })
    }

    private static func shortened(_ names: [String]) -> String {
        let text = names.prefix(8).joined(separator: ", ")
        return names.count <= 8 ? text : "\(text) and \(names.count - 8) more"
    }
}

extension ServerWord {
    /// For people: what an operator wants, and what checks find besides.
    var text: String {
        guard isUnhealthy else { return "\(wanted)" }
        return wanted == .active ? "down (checks)" : "\(wanted), down (checks)"
    }
}
