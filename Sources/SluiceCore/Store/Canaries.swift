// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import GRDB
internal import SluiceAPI

/// A canary's record: the clock and the intent. Which flows go where is in the kernel.
struct StoredCanary {
    var candidate: Int
    var plan: CanaryPlan
    /// From 0 on.
    var step: Int
    /// How many seconds of the step have been watched.
    var elapsed: Double
    /// What had been counted when the step began.
    var baseline: CanaryCounts
    var author: String
    var message: String
}

extension Store {
    func canary(of hook: String) throws -> StoredCanary? {
        try read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM canary WHERE hook = ?", arguments: [hook]).map { row in
                let decoder = JSONDecoder()
                return StoredCanary(
                    candidate: row["candidate"],
                    plan: try decoder.decode(CanaryPlan.self, from: Data((row["plan"] as String).utf8)),
                    step: row["step"], elapsed: row["elapsed"],
                    baseline: try decoder.decode(CanaryCounts.self, from: Data((row["baseline"] as String).utf8)),
                    author: row["author"], message: row["message"])
            }
        }
    }

    /// Records a canary, or how far it is; its candidate is one from then on.
    func setCanary(_ canary: StoredCanary, of hook: String) throws {
        try write { db in
            try db.execute(
                sql: """
                    INSERT INTO canary (hook, candidate, plan, step, elapsed, baseline, author, message)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT (hook) DO UPDATE SET candidate = excluded.candidate, plan = excluded.plan,
                        step = excluded.step, elapsed = excluded.elapsed, baseline = excluded.baseline,
                        author = excluded.author, message = excluded.message
                    """,
                arguments: [
                    hook, canary.candidate, try json(canary.plan), canary.step, canary.elapsed,
                    try json(canary.baseline), canary.author, canary.message,
                ])
            try db.execute(
                sql: "UPDATE generation SET state = 'canary' WHERE hook = ? AND number = ? AND state = 'building'",
                arguments: [hook, canary.candidate])
        }
    }

    /// Ends a hook's canary. A candidate that has not gone live is history.
    func endCanary(of hook: String) throws {
        try write { db in
            try db.execute(sql: "DELETE FROM canary WHERE hook = ?", arguments: [hook])
            try db.execute(
                sql: "UPDATE generation SET state = 'retired' WHERE hook = ? AND state = 'canary'", arguments: [hook])
        }
    }
}
