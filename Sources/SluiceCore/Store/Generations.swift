// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import GRDB
internal import SluiceAPI

/// A generation's record, with all that is needed to build it again.
struct StoredGeneration {
    var number: Int
    var state: GenerationState
    var created: String
    var liveSince: String?
    /// When it last ceased to be live.
    var liveUntil: String?
    /// When it last went live, in the hook's own count; 0 for never.
    var liveOrder = 0
    var author: String
    var message: String
    var changes: [String]
    var resolved: ResolvedChain

    var record: GenerationRecord {
        GenerationRecord(
            number: number, state: state, created: created, author: author, message: message, changes: changes,
            stages: resolved.stages.map(\.record))
    }
}

extension Store {
    /// The hooks that have a record, and whether their chain is wanted.
    func chains() throws -> [(hook: String, wanted: Bool)] {
        try read { db in
            try Row.fetchAll(db, sql: "SELECT hook, wanted FROM chain ORDER BY hook").map { ($0["hook"], $0["wanted"]) }
        }
    }

    func isWanted(_ hook: String) throws -> Bool? {
        try read { try Bool.fetchOne($0, sql: "SELECT wanted FROM chain WHERE hook = ?", arguments: [hook]) }
    }

    func setWanted(_ hook: String, _ wanted: Bool) throws {
        try write { db in
            try db.execute(sql: "UPDATE chain SET wanted = ? WHERE hook = ?", arguments: [wanted, hook])
        }
    }

    /// All generations of a hook, newest first.
    func generations(of hook: String) throws -> [StoredGeneration] {
        try read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM generation WHERE hook = ? ORDER BY number DESC", arguments: [hook])
                .map(Self.generation)
        }
    }

    /// Those that may be in the kernel, newest first. Of what has gone, a hook may have thousands of records.
    func openGenerations(of hook: String) throws -> [StoredGeneration] {
        try read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM generation WHERE hook = ? AND state <> 'retired' ORDER BY number DESC",
                arguments: [hook]
            ).map(Self.generation)
        }
    }

    /// The numbers of those that may be in the kernel, with their states. What they were built from, which can be
    /// megabytes, is not read.
    func openNumbers(of hook: String) throws -> [Int: GenerationState] {
        try read { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT number, state FROM generation WHERE hook = ? AND state <> 'retired'", arguments: [hook]
            )
            return Dictionary(
                uniqueKeysWithValues: rows.map { ($0["number"], GenerationState(rawValue: $0["state"]) ?? .retired) })
        }
    }

    /// The one that was begun last, whatever has become of it.
    func newestGeneration(of hook: String) throws -> StoredGeneration? {
        try read { db in
            try Row.fetchOne(
                db, sql: "SELECT * FROM generation WHERE hook = ? ORDER BY number DESC LIMIT 1", arguments: [hook]
            ).map(Self.generation)
        }
    }

    func generation(_ number: Int, of hook: String) throws -> StoredGeneration? {
        try read { db in
            try Row.fetchOne(
                db, sql: "SELECT * FROM generation WHERE hook = ? AND number = ?", arguments: [hook, number]
            ).map(Self.generation)
        }
    }

    /// Records a generation that is about to be built, and gives it its number: one more than any before.
    func begin(_ chain: ResolvedChain, author: String, message: String, changes: [String]) throws -> Int {
        try write { db in
            let hook = chain.spec.hook
            try db.execute(
                sql: "INSERT INTO chain (hook, wanted) VALUES (?, 0) ON CONFLICT DO NOTHING", arguments: [hook])
            let last = try Int.fetchOne(db, sql: "SELECT max(number) FROM generation WHERE hook = ?", arguments: [hook])
            let number = (last ?? 0) + 1
            try db.execute(
                sql: """
                    INSERT INTO generation (hook, number, state, created, author, message, changes, resolved)
                    VALUES (?, ?, 'building', ?, ?, ?, ?, ?)
                    """,
                arguments: [hook, number, Self.timestamp(), author, message, try json(changes), try json(chain)])
            try recordLiveStages(of: chain, number, in: db)
            return number
        }
    }

    /// Records that a generation is live, and the one before only kept.
    func setLive(_ number: Int, of hook: String) throws {
        try write { db in
            try db.execute(
                sql: """
                    UPDATE generation SET state = 'kept', live_until = ?
                    WHERE hook = ? AND state = 'live' AND number <> ?
                    """,
                arguments: [Self.timestamp(), hook, number])
            try db.execute(
                sql: """
                    UPDATE generation SET state = 'live', live_since = ?,
                        live_order = 1 + (SELECT max(live_order) FROM generation WHERE hook = ?)
                    WHERE hook = ? AND number = ?
                    """,
                arguments: [Self.timestamp(), hook, hook, number])
            try db.execute(sql: "UPDATE chain SET wanted = 1 WHERE hook = ?", arguments: [hook])
        }
    }

    func setState(_ state: GenerationState, of number: Int, _ hook: String) throws {
        try write { db in
            try db.execute(
                sql: "UPDATE generation SET state = ? WHERE hook = ? AND number = ?",
                arguments: [state.rawValue, hook, number])
        }
    }

    /// Forgets a generation that never went live, and its chain if that was the first.
    func forget(_ number: Int, of hook: String) throws {
        try write { db in
            try db.execute(sql: "DELETE FROM generation WHERE hook = ? AND number = ?", arguments: [hook, number])
            try db.execute(
                sql: "DELETE FROM chain WHERE hook = ? AND NOT EXISTS (SELECT 1 FROM generation WHERE hook = ?)",
                arguments: [hook, hook])
        }
    }

    /// The artifacts that some generation still in the kernel was built from.
    func artifactsInUse() throws -> Set<String> {
        let generations = try read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM generation WHERE state <> 'retired'").map(Self.generation)
        }
        return Set(generations.flatMap { $0.resolved.stages.map(\.artifact) })
    }

    private static func generation(_ row: Row) throws -> StoredGeneration {
        StoredGeneration(
            number: row["number"], state: GenerationState(rawValue: row["state"]) ?? .retired, created: row["created"],
            liveSince: row["live_since"], liveUntil: row["live_until"], liveOrder: row["live_order"],
            author: row["author"], message: row["message"],
            changes: try JSONDecoder().decode([String].self, from: Data((row["changes"] as String).utf8)),
            resolved: try JSONDecoder().decode(ResolvedChain.self, from: Data((row["resolved"] as String).utf8)))
    }

    func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}
