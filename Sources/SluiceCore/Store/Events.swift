// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import SluiceAPI

extension Store {
    static let eventsKept = 100_000
    /// Of what stages report, which must not push out what people did.
    static let reportsKept = 20_000
    static let report = "report"

    /// Adds to the audit trail.
    func record(
        _ action: String, _ hook: String?, outcome: String, author: String, _ message: String
    ) throws -> Event {
        try write { try Self.record(action, hook, outcome: outcome, author: author, message, in: $0) }
    }

    /// The same, as part of a transaction.
    static func record(
        _ action: String, _ hook: String?, outcome: String, author: String, _ message: String, in db: Database
    ) throws -> Event {
        let time = timestamp()
        try db.execute(
            sql: "INSERT INTO event (time, action, hook, outcome, author, message) VALUES (?, ?, ?, ?, ?, ?)",
            arguments: [time, action, hook, outcome, author, message])
        let id = db.lastInsertedRowID
        if id.isMultiple(of: 256) { try prune(db) }
        return Event(
            id: id, time: time, action: action, hook: hook, outcome: outcome, author: author, message: message)
    }

    /// The newest are kept; a stage's `run` may add some every second.
    private static func prune(_ db: Database) throws {
        for (which, kept) in [("=", reportsKept), ("<>", eventsKept)] {
            try db.execute(
                sql: """
                    DELETE FROM event WHERE action \(which) ? AND id <= (
                        SELECT id FROM event WHERE action \(which) ? ORDER BY id DESC LIMIT 1 OFFSET ?)
                    """, arguments: [report, report, kept])
        }
    }

    /// The newest event of a hook; nil when there is none.
    func lastEvent(of hook: String) throws -> Event? {
        try read { db in
            try Row.fetchOne(
                db, sql: "SELECT * FROM event WHERE hook = ? ORDER BY id DESC LIMIT 1", arguments: [hook]
            ).map(Self.event)
        }
    }

    /// The kept events after `since`, oldest first, at most `limit`.
    func events(since: Int64, limit: Int) throws -> [Event] {
        try read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM event WHERE id > ? ORDER BY id LIMIT ?", arguments: [since, limit]
            ).map(Self.event)
        }
    }

    /// The id of the newest event; 0 when there is none.
    func lastEventID() throws -> Int64 {
        try read { try Int64.fetchOne($0, sql: "SELECT max(id) FROM event") ?? 0 }
    }

    /// The newest kept events of a hook, oldest first, at most `limit`.
    func events(of hook: String, limit: Int) throws -> [Event] {
        try read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM event WHERE hook = ? ORDER BY id DESC LIMIT ?", arguments: [hook, limit]
            ).reversed().map(Self.event)
        }
    }

    private static func event(_ row: Row) -> Event {
        Event(
            id: row["id"], time: row["time"], action: row["action"], hook: row["hook"], outcome: row["outcome"],
            author: row["author"], message: row["message"])
    }
}
