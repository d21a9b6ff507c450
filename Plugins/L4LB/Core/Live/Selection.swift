// SPDX-License-Identifier: Apache-2.0

/// Which servers a flow's packets go to, decided as the program does: bpf/l4lb/choose.h.
struct Selection: Equatable {
    /// How many further entries are looked at, `L4LB_PROBES`, and how far apart they are.
    private static let probes = 8
    private static let step: UInt32 = 0x9e37_79b1

    /// What a packet is, for the order in which servers are asked.
    enum Kind {
        /// Whoever takes new flows first; then those that may have this one.
        case tcp
        /// Those that may have it first: whoever takes new flows keeps all that it gets.
        case udp
        /// Goes to one server only: a fragment.
        case single
    }

    struct Candidate: Equatable {
        let server: Int
        /// Nil for one that another entry lends.
        let rank: Int?
        let state: ServerWord.State
        let takes: Bool
        let why: String
    }

    /// In the order of their ranks, those of other entries last.
    let candidates: [Candidate]
    /// The servers to ask, in this order; the last keeps the packet.
    let hops: [Int]
    /// Nobody takes new flows.
    let isAllDown: Bool

    /// - Parameters:
    ///   - further: How many servers besides the first may be asked.
    ///   - ranking: The servers of an entry.
    ///   - word: A server's.
    init(
        entry: Int, of entries: Int, _ kind: Kind, further: Int, ranking: (Int) -> [UInt16],
        word: (Int) -> ServerWord
    ) {
        func candidate(_ server: Int, of entry: Int, rank: Int?) -> Candidate {
            let word = word(server)
            let accepts = word.accepts(entry: entry, server: server)
            let takes = accepts && (word.state == .active || word.state == .filling)
            return Candidate(server: server, rank: rank, state: word.state, takes: takes, why: word.reason(accepts))
        }
        let ranks = ranking(entry).enumerated().map { candidate(Int($1), of: entry, rank: $0 + 1) }
        var lent: [Candidate] = []
        if ranks.count == RankingTable.depth, ranks.count(where: \.takes) < 2 {
            let missing = 2 - ranks.count(where: \.takes)
            for probe in 1...Self.probes where lent.count < missing {
                let other = Int((UInt32(entry) &+ UInt32(probe) &* Self.step) & UInt32(entries - 1))
                let takers = ranking(other).map { candidate(Int($0), of: other, rank: nil) }.filter(\.takes)
                for taker in takers
                where lent.count < missing && !(ranks + lent).contains(where: { $0.server == taker.server }) {
                    lent.append(taker)
                }
            }
        }
        let all = ranks + lent
        candidates = all
        let takers = all.indices.filter { all[$0].takes }
        let open = ranks.indices.filter { ranks[$0].state == .active || ranks[$0].state == .filling }
        let living = ranks.indices.filter { ranks[$0].state != .down }
        isAllDown = takers.isEmpty && open.isEmpty
        guard let first = takers.first ?? open.first ?? living.first ?? ranks.indices.first else {
            hops = []
            return
        }
        let second = takers.dropFirst().prefix(1)
        let above = living.filter { $0 < first }
        let further = kind == .single ? 0 : further
        let order: [Int]
        if kind == .udp {
            let owners = above + (all[first].state == .filling ? Array(second) : [])
            order = owners.prefix(further) + [first]
        } else {
            var others = above + second.filter(ranks.indices.contains)
            others += living.filter { $0 != first && !others.contains($0) }
            // One that is lent has no flows of this entry, unless four had none to take.
            others += second.filter { !ranks.indices.contains($0) }
            order = [first] + others.prefix(further)
        }
        hops = order.map { all[$0].server }
    }
}

extension ServerWord {
    /// What it does with flows of an entry, for people.
    fileprivate func reason(_ accepts: Bool) -> String {
        switch state {
        case .down: isUnhealthy ? "its checks find it down" : "is down"
        case .draining: "drains: keeps flows it has"
        case .active, .filling:
            accepts ? "takes new flows" : "its weight leaves this entry to others: keeps flows it has"
        }
    }
}
