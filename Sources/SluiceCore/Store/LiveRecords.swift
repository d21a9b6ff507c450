// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import GRDB
internal import SluiceAPI
internal import StageKit

/// What a change of a live stage needs of its plan, without the plan.
struct StoredLiveStage {
    /// The plan's `live`.
    var maps: [String]
    var counters: [CounterTable]
}

/// A change of a live stage that has begun: all that is needed to finish it.
struct LiveChange: Codable, Equatable {
    var generation: Int
    var stage: String
    var updates: [MapUpdate]
    /// Of the maps that are state, their schemas.
    var state: [String: String]
    var author: String
    /// For the audit trail.
    var message: String
}

extension Store {
    /// Keeps what changes of a generation's stages need, beside its record.
    func recordLiveStages(of chain: ResolvedChain, _ number: Int, in db: Database) throws {
        for (stage, spec) in zip(chain.stages, chain.spec.stages) where !stage.plan.live.isEmpty {
            try db.execute(
                sql:
                    "INSERT INTO live_stage (hook, generation, stage, maps, counters, config) VALUES (?, ?, ?, ?, ?, ?)",
                arguments: [
                    chain.spec.hook, number, stage.name, try json(stage.plan.live), try json(stage.plan.counters),
                    String(decoding: spec.config.serialized(), as: UTF8.self),
                ])
        }
    }

    /// Nil for a stage that takes no changes.
    func liveStage(_ stage: String, in generation: Int, of hook: String) throws -> StoredLiveStage? {
        try read { db in
            try Row.fetchOne(
                db, sql: "SELECT maps, counters FROM live_stage WHERE hook = ? AND generation = ? AND stage = ?",
                arguments: [hook, generation, stage]
            ).map { row in
                let decoder = JSONDecoder()
                return StoredLiveStage(
                    maps: try decoder.decode([String].self, from: Data((row["maps"] as String).utf8)),
                    counters: try decoder.decode([CounterTable].self, from: Data((row["counters"] as String).utf8)))
            }
        }
    }

    /// The configuration of a stage that takes changes.
    func liveConfiguration(_ stage: String, in generation: Int, of hook: String) throws -> JSON {
        let text = try read { db in
            try String.fetchOne(
                db, sql: "SELECT config FROM live_stage WHERE hook = ? AND generation = ? AND stage = ?",
                arguments: [hook, generation, stage])
        }
        return try JSON(parsing: Array((text ?? "{}").utf8))
    }

    /// What changes wrote to a map: a state map, which its schema tells, or that of a generation.
    func entries(
        of hook: String, stage: String, map: String, schema: String?, generation: Int
    ) throws -> [MapEntry] {
        try read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT key, value FROM live_entry
                    WHERE hook = ? AND stage = ? AND map = ? AND schema = ? AND generation = ?
                    """,
                arguments: [hook, stage, map, schema ?? "", schema == nil ? generation : 0]
            ).map { MapEntry(key: Bytes([UInt8]($0["key"] as Data)), value: Bytes([UInt8]($0["value"] as Data))) }
        }
    }

    /// The change that a crash has left unfinished.
    func liveChange(of hook: String) throws -> LiveChange? {
        try read { db in
            try String.fetchOne(db, sql: "SELECT change FROM live_change WHERE hook = ?", arguments: [hook])
                .map { try JSONDecoder().decode(LiveChange.self, from: Data($0.utf8)) }
        }
    }

    /// Records a change before it is made, so that a crash leaves none by halves.
    func begin(_ change: LiveChange, of hook: String) throws {
        let text = try json(change)
        try write { db in
            try db.execute(sql: "INSERT INTO live_change (hook, change) VALUES (?, ?)", arguments: [hook, text])
        }
    }

    /// Forgets a change that was not made.
    func dropChange(of hook: String) throws {
        try write { try $0.execute(sql: "DELETE FROM live_change WHERE hook = ?", arguments: [hook]) }
    }

    /// Records that a change was made, and what it wrote.
    func end(_ change: LiveChange, of hook: String) throws -> Event {
        try write { db in
            let insert = try db.makeStatement(
                sql: """
                    INSERT INTO live_entry (hook, stage, map, schema, generation, key, value)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET value = excluded.value
                    """)
            for update in change.updates {
                let schema = change.state[update.map]
                for entry in update.entries {
                    try insert.execute(
                        arguments: [
                            hook, change.stage, update.map, schema ?? "", schema == nil ? change.generation : 0,
                            Data(entry.key.raw), Data(entry.value.raw),
                        ])
                }
            }
            try db.execute(sql: "DELETE FROM live_change WHERE hook = ?", arguments: [hook])
            return try Self.record(
                "change", hook, outcome: "done", author: change.author, change.message, in: db)
        }
    }

    /// Forgets what changes wrote to state that has gone.
    func forgetState(of hook: String, where isGone: (_ stage: String, _ map: String, _ schema: String) -> Bool) throws {
        try write { db in
            let written = try Row.fetchAll(
                db, sql: "SELECT DISTINCT stage, map, schema FROM live_entry WHERE hook = ? AND schema <> ''",
                arguments: [hook])
            for row in written where isGone(row["stage"], row["map"], row["schema"]) {
                try db.execute(
                    sql: "DELETE FROM live_entry WHERE hook = ? AND stage = ? AND map = ? AND schema = ?",
                    arguments: [hook, row["stage"], row["map"], row["schema"]] as StatementArguments)
            }
        }
    }

    /// Forgets all that changes of a hook's stages wrote.
    func forgetChanges(of hook: String) throws {
        try write { db in
            try db.execute(sql: "DELETE FROM live_entry WHERE hook = ?", arguments: [hook])
            try db.execute(sql: "DELETE FROM live_change WHERE hook = ?", arguments: [hook])
        }
    }
}
