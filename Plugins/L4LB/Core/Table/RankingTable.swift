// SPDX-License-Identifier: Apache-2.0

/// A pool's forwarding table: in each entry the servers that come first by weighted rendezvous hashing.
struct RankingTable: Equatable {
    /// How many servers an entry ranks, `L4LB_RANKS`.
    static let depth = 4

    /// The servers' numbers, ``depth`` of each entry, the first first; 0 where the pool has no more.
    let ranks: [UInt16]

    var entries: Int { ranks.count / Self.depth }

    init(_ servers: [Server], entries: Int) {
        let ranker = Ranker(servers)
        var ranks = [UInt16](repeating: 0, count: entries * Self.depth)
        for entry in 0..<entries {
            let best = ranker.best(of: entry)
            for rank in 0..<min(Self.depth, ranker.count) {
                ranks[entry * Self.depth + rank] = ranker.numbers[best.places[rank]]
            }
        }
        self.ranks = ranks
    }

    func ranking(of entry: Int) -> [UInt16] {
        ranks[entry * Self.depth..<(entry + 1) * Self.depth].filter { $0 != 0 }
    }
}

/// Ranks servers.
///
/// Each server has a score in each entry that depends on nothing but the entry, its name and its weight. So a server that
/// comes or goes changes only what it ranks in, and all directors have the same table.
struct Ranker {
    fileprivate let numbers: [UInt16]
    private let hashes: [UInt64]
    /// What scores of unlike weights are multiplied by.
    private let factors: [UInt64]
    private let isEven: Bool
    private let logarithm = Logarithm()

    var count: Int { numbers.count }

    /// - Parameter servers: Those whose weight is 0 get no rank.
    init(_ servers: [Server]) {
        // Among equals the order by name, so that it does not depend on that of the configuration.
        let servers = servers.filter { $0.weight > 0 }.map { (server: $0, hash: nameHash($0.name)) }
            .sorted { $0.hash < $1.hash }
        numbers = servers.map { UInt16($0.server.number) }
        hashes = servers.map(\.hash)
        factors = servers.map { (1 << 24) / UInt64($0.server.weight) }
        isEven = Set(factors).count < 2
    }

    /// The servers' numbers, the first first.
    func ranking(of entry: Int) -> [UInt16] {
        let places = best(of: entry).places
        return (0..<min(RankingTable.depth, count)).map { numbers[places[$0]] }
    }

    @inline(__always)
    fileprivate func best(of entry: Int) -> Best {
        let key = mixed(UInt64(entry) &+ 0x9e37_79b9_7f4a_7c15)
        // Of a part u of all hashes -log(u) / weight, the lowest first; among equal weights the greatest hash.
        return isEven
            ? Best(hashes) { hash, _ in mixed(hash &+ key) ^ .max }
            : Best(hashes) { hash, place in logarithm.negative(of: mixed(hash &+ key)) * factors[place] }
    }
}

/// The places of the lowest scores, the lowest first.
private struct Best {
    private var scores: (UInt64, UInt64, UInt64, UInt64) = (.max, .max, .max, .max)
    private(set) var places = InlineArray<4, Int>(repeating: 0)

    @inline(__always)
    init(_ hashes: [UInt64], score: (UInt64, Int) -> UInt64) {
        for place in hashes.indices { add(score(hashes[place], place), place) }
    }

    @inline(__always)
    private mutating func add(_ score: UInt64, _ place: Int) {
        guard score < scores.3 else { return }
        if score < scores.1 {
            (scores.3, places[3], scores.2, places[2]) = (scores.2, places[2], scores.1, places[1])
            if score < scores.0 {
                (scores.1, places[1], scores.0, places[0]) = (scores.0, places[0], score, place)
            } else {
                (scores.1, places[1]) = (score, place)
            }
        } else if score < scores.2 {
            (scores.3, places[3], scores.2, places[2]) = (scores.2, places[2], score, place)
        } else {
            (scores.3, places[3]) = (score, place)
        }
    }
}
