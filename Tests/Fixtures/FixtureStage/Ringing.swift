// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// The stage that tells of packets in a ring buffer. Its `run` counts what comes, says what has come, and has all
/// packets dropped when one comes to port 4444.
enum Ringing {
    static func complete(_ plan: inout StagePlan, listens: Bool) {
        plan.counters = [CounterTable(name: "records", map: "counts", columns: ["told", "full"], rows: ["all"])]
        plan.live = ["ringing_verdict"]
        plan.verdicts.append(.drop)
        plan.ring = "told"
        plan.runs = listens
    }

    /// Nil for a request that is none of its own.
    static func change(_ request: ChangeRequest) throws -> StageChange? {
        guard let drop = request.request["drop"] else { return nil }
        guard case .boolean(let drops) = drop else { throw StageError("true or false is wanted", at: "drop") }
        let entry = MapEntry(key: Live.number(0), value: Live.number(drops ? Verdict.drop.number : 0))
        return StageChange(
            updates: [MapUpdate(map: "ringing_verdict", entries: [entry])],
            summary: [drops ? "drops all packets" : "drops none"])
    }

    /// What came from one generation's ring.
    private struct Account {
        var records: Int64 = 0
        var first: Int64 = 0
        var last: Int64 = 0
        /// How many times the next number was not the next.
        var gaps: Int64 = 0
        /// How many times it was none that could come.
        var disorder: Int64 = 0
    }

    private actor Accounts {
        private var byGeneration: [Int: Account] = [:]
        private var lost: Int64 = 0

        /// - Returns: The ports of the packets.
        func take(_ batch: StageRecords) -> [UInt32] {
            lost += Int64(batch.lost)
            return batch.records.map { record in
                let (number, port) = record.raw.withUnsafeBytes {
                    ($0.loadUnaligned(as: Int64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
                }
                var account = byGeneration[batch.generation, default: Account()]
                if account.records == 0 { account.first = number }
                if account.records > 0, number != account.last + 1 { account.gaps += 1 }
                if number <= account.last { account.disorder += 1 }
                account.records += 1
                account.last = number
                byGeneration[batch.generation] = account
                return port
            }
        }

        var table: StageTable {
            StageTable(
                columns: ["generation", "records", "first", "last", "gaps", "disorder", "lost"],
                rows: byGeneration.sorted { $0.key < $1.key }.map { generation, account in
                    [
                        .integer(Int64(generation)), .integer(account.records), .integer(account.first),
                        .integer(account.last), .integer(account.gaps), .integer(account.disorder), .integer(lost),
                    ]
                }, notes: ["told by the fixture"])
        }
    }

    private struct Question: Codable {
        var top: String
    }

    static func run(in session: StageSession) async {
        let accounts = Accounts()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await batch in session.records {
                    for port in await accounts.take(batch) where port == 4444 || port == 5555 {
                        do {
                            let summary = try await session.change(
                                ["drop": port == 4444 ? true : "maybe"], reason: "a packet to port \(port)")
                            session.log("changed: \(summary.joined(separator: "; "))")
                        } catch {
                            session.log("not changed: \(error)")
                        }
                    }
                }
            }
            group.addTask {
                for await question in session.questions {
                    let top = (try? question.question.decode(Question.self))?.top
                    // Nobody waits for who is silent.
                    if top == "silence" { continue }
                    await question.answer {
                        switch top {
                        case "records": await accounts.table
                        case "malformed": StageTable(columns: ["one"], rows: [["a", "b"]])
                        default: throw StageError("not known; there are: records", at: "top")
                        }
                    }
                }
            }
            for await notice in session.notices where notice == .stop { break }
            group.cancelAll()
        }
    }
}
