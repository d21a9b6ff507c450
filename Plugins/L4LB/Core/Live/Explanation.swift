// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Where the packets of a flow go, and why.
struct Explanation {
    let flow: Flow
    let service: Service
    let pool: Pool
    let entry: Int
    let selection: Selection
    private let names: [Int: String]
    private let local: String?

    init(_ flow: Flow, _ configuration: Configuration, _ live: LiveServers) throws(StageError) {
        self.flow = flow
        let matching = configuration.services.filter {
            $0.vip.contains(flow.destination) && $0.protocol == flow.protocol && $0.ports.contains(flow.destinationPort)
        }
        guard let service = matching.first,
            let pool = configuration.pools.first(where: { $0.name == service.pool })
        else {
            throw StageError(
                "no service is for \(flow.destination) \(flow.protocol.rawValue) \(flow.destinationPort)",
                at: "explain.destination")
        }
        (self.service, self.pool) = (service, pool)
        let members = Set(pool.servers)
        let servers = configuration.servers.filter { members.contains($0.name) }
        let words = Dictionary(
            servers.map { ($0.number, live[$0.name]?.word ?? $0.initial) },
            uniquingKeysWith: { first, _ in first })
        names = Dictionary(servers.map { ($0.number, $0.name) }, uniquingKeysWith: { first, _ in first })
        entry = Int(flow.hash(pool.hash, seed: configuration.director.hashSeed) >> 32) & (pool.entries - 1)
        let ranker = Ranker(servers)
        selection = Selection(
            entry: entry, of: pool.entries, flow.protocol == .tcp ? .tcp : .udp,
            further: pool.encapsulation.namesHops ? GUEHeader.hops : 0, ranking: ranker.ranking,
            word: { words[$0]! })
        local = configuration.local
    }

    var table: StageTable {
        let rows: [[JSON]] = selection.candidates.map { candidate in
            let name = names[candidate.server] ?? "?"
            let hop = selection.hops.firstIndex(of: candidate.server).map { $0 + 1 }
            return [
                candidate.rank.map { .integer(Int64($0)) } ?? .null, .string(name), .string("\(candidate.state)"),
                hop.map { .integer(Int64($0)) } ?? .null, .string(candidate.why),
            ]
        }
        return StageTable(columns: ["rank", "server", "state", "hop", "why"], rows: rows, notes: notes)
    }

    private var notes: [String] {
        var notes = [
            "service \(service.name), pool \(pool.name): entry \(entry) of \(pool.entries), by "
                + (pool.hash == .source ? "the source address" : "the five-tuple")
        ]
        let hops = selection.hops.map { names[$0] ?? "?" }
        if let first = hops.first {
            let further = hops.dropFirst()
            let place =
                first == local
                ? "stays on this server, \(first)," : "goes to \(first) by \(pool.encapsulation.rawValue)"
            notes.append(
                further.isEmpty
                    ? "a packet \(place)\(first == local ? "" : ",") whatever it is"
                    : "a packet \(place)\(first == local ? "" : ",") and on to \(further.joined(separator: ", then ")) "
                        + "where it is of no connection of the one before and opens none")
        }
        if selection.isAllDown { notes.append("no server takes new connections: states are looked past") }
        if selection.candidates.contains(where: { $0.rank == nil }) {
            notes.append(
                "servers without a rank are lent by another entry, as too few of this one take new connections")
        }
        if service.quic { notes.append("a QUIC packet whose connection id names a server goes to that one") }
        return notes
    }
}
