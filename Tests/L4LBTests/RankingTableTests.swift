// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing

@testable import L4LB

@Suite("Ranking table")
struct RankingTableTests {
    private func servers(_ count: Int, weight: (Int) -> Int = { _ in 100 }) -> [Server] {
        (0..<count).map {
            Server(name: "edge\($0)", number: $0 + 1, address: IPAddress(bytes: [10, 0, 0, 1]), weight: weight($0))
        }
    }

    private func moved(_ one: RankingTable, _ other: RankingTable) -> Double {
        let moved = (0..<one.entries).count { one.ranking(of: $0).first != other.ranking(of: $0).first }
        return Double(moved) / Double(one.entries)
    }

    /// Adding or removing one of n servers: only what it owns moves, and that is not more than its share and 1 %.
    @Test(arguments: [2, 3, 4, 5, 7, 10, 16, 33, 64, 100, 199, 200])
    func aServerMovesItsShareOnly(count: Int) {
        let all = servers(count)
        let table = RankingTable(all, entries: 8192)
        var random = SeededGenerator(seed: UInt64(count))
        for _ in 0..<3 {
            let gone = random.number(0...count - 1)
            let less = RankingTable(all.enumerated().filter { $0.offset != gone }.map(\.element), entries: 8192)
            #expect(moved(table, less) <= 1 / Double(count) + 0.01)
            // Nobody else's entries: those that stay keep their order.
            for entry in 0..<table.entries {
                let before = table.ranking(of: entry).filter { $0 != UInt16(gone + 1) }
                #expect(less.ranking(of: entry).starts(with: before))
            }
        }
    }

    /// Within four standard deviations of what chance gives that many entries.
    @Test(arguments: [
        [100, 100], [100, 50], [1, 100], [100, 50, 25, 10, 5], [3, 3, 7], [100, 100, 100, 1, 1, 0],
    ])
    func weightsHold(weights: [Int]) {
        let entries = 65536
        let table = RankingTable(servers(weights.count) { weights[$0] }, entries: entries)
        var counts = [Int](repeating: 0, count: weights.count)
        for entry in 0..<entries { counts[Int(table.ranking(of: entry)[0]) - 1] += 1 }
        for (count, weight) in zip(counts, weights) {
            let share = Double(weight) / Double(weights.reduce(0, +))
            let deviation = (Double(entries) * share * (1 - share)).squareRoot()
            #expect(abs(Double(count) - share * Double(entries)) <= 4 * deviation, "\(counts)")
        }
    }

    /// A weight that changes moves entries from or to that server, and none between others.
    @Test func aWeightMovesItsOwnOnly() {
        let before = RankingTable(servers(6), entries: 8192)
        let after = RankingTable(servers(6) { $0 == 2 ? 40 : 100 }, entries: 8192)
        let moved = (0..<before.entries).filter { before.ranking(of: $0)[0] != after.ranking(of: $0)[0] }
        #expect(moved.allSatisfy { before.ranking(of: $0)[0] == 3 })
        // Of nearly all of them it is still asked for the connections it had.
        #expect(moved.count { after.ranking(of: $0).contains(3) } > moved.count * 9 / 10)
    }

    @Test func doesNotDependOnTheOrderOfTheConfiguration() {
        let all = servers(20) { $0 % 3 == 0 ? 50 : 100 }
        #expect(RankingTable(all, entries: 512) == RankingTable(all.reversed(), entries: 512))
        #expect(RankingTable(servers(1), entries: 256).ranks.allSatisfy { $0 <= 1 })
        #expect(RankingTable(servers(1), entries: 256).ranking(of: 9) == [1])
    }

    /// Against the formula, in floating point.
    @Test func scoresAreThoseOfWeightedRendezvousHashing() {
        let all = servers(12) { [100, 37, 1, 80][$0 % 4] }
        let table = RankingTable(all, entries: 1024)
        for entry in 0..<1024 {
            let scores = all.map { server in
                let hash = mixed(nameHash(server.name) &+ mixed(UInt64(entry) &+ 0x9e37_79b9_7f4a_7c15))
                return -log((Double(hash) + 1) / 0x1p64) / Double(server.weight)
            }
            let expected = zip(scores, all).sorted { $0.0 < $1.0 }.prefix(4).map { UInt16($0.1.number) }
            #expect(table.ranking(of: entry) == expected)
        }
    }
}
