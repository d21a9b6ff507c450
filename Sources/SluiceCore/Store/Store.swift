// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import GRDB
internal import SluiceAPI

/// What is wanted and what it means: chains, generations, artifacts and the audit trail, in SQLite.
///
/// What runs is never read from here but from the kernel. Synchronous: used on the manager's own thread only.
struct Store {
    private let queue: DatabaseQueue

    init(path: String) throws {
        var configuration = Configuration()
        configuration.prepareDatabase { db in
            // A record must be on the disk before the flip that it speaks of.
            try db.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")
        }
        // Configurations may hold what is nobody else's business. SQLite gives its journals the mode of the file.
        if !FileManager.default.fileExists(atPath: path) {
            guard FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
            else {
                throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: path])
            }
        }
        queue = try DatabaseQueue(path: path, configuration: configuration)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        try Self.migrator.migrate(queue)
    }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(
                sql: """
                    -- A chain somebody asked for. A detached one keeps its row, for its history.
                    CREATE TABLE chain (
                        hook TEXT PRIMARY KEY,
                        wanted INTEGER NOT NULL
                    ) STRICT;
                    -- state: building, canary, live, kept or retired; at most one of a hook is live. resolved: ResolvedChain, JSON.
                    CREATE TABLE generation (
                        hook TEXT NOT NULL REFERENCES chain (hook),
                        number INTEGER NOT NULL,
                        state TEXT NOT NULL,
                        created TEXT NOT NULL,
                        live_since TEXT,
                        live_until TEXT,
                        -- Rises with each time a generation of the hook goes live: clocks step, this does not.
                        live_order INTEGER NOT NULL DEFAULT 0,
                        author TEXT NOT NULL,
                        message TEXT NOT NULL,
                        changes TEXT NOT NULL,
                        resolved TEXT NOT NULL,
                        PRIMARY KEY (hook, number)
                    ) STRICT;
                    CREATE UNIQUE INDEX generation_live ON generation (hook) WHERE state = 'live';
                    -- A canary under way. Which flows go where is in the kernel; this is the clock and the intent.
                    CREATE TABLE canary (
                        hook TEXT PRIMARY KEY REFERENCES chain (hook),
                        candidate INTEGER NOT NULL,
                        -- CanaryPlan, JSON.
                        plan TEXT NOT NULL,
                        -- The step it is at, from 0 on, and how many seconds of it have been watched.
                        step INTEGER NOT NULL,
                        elapsed REAL NOT NULL,
                        -- What the splitter had counted when the step began: CanaryCounts, JSON.
                        baseline TEXT NOT NULL,
                        author TEXT NOT NULL,
                        message TEXT NOT NULL
                    ) STRICT;
                    -- Of a stage that takes changes while it is live, what those need of its plan, which has megabytes: the
                    -- maps and counter tables, JSON; and the configuration.
                    CREATE TABLE live_stage (
                        hook TEXT NOT NULL,
                        generation INTEGER NOT NULL,
                        stage TEXT NOT NULL,
                        maps TEXT NOT NULL,
                        counters TEXT NOT NULL,
                        config TEXT NOT NULL,
                        PRIMARY KEY (hook, generation, stage),
                        FOREIGN KEY (hook, generation) REFERENCES generation (hook, number) ON DELETE CASCADE
                    ) STRICT;
                    -- What changes of live stages wrote, for when the maps are made anew. Of a state map its schema, and
                    -- generation 0; of a configuration map its generation, and no schema.
                    CREATE TABLE live_entry (
                        hook TEXT NOT NULL REFERENCES chain (hook),
                        stage TEXT NOT NULL,
                        map TEXT NOT NULL,
                        schema TEXT NOT NULL,
                        generation INTEGER NOT NULL,
                        key BLOB NOT NULL,
                        value BLOB NOT NULL,
                        PRIMARY KEY (hook, stage, map, schema, generation, key)
                    ) STRICT, WITHOUT ROWID;
                    CREATE TRIGGER live_retired AFTER UPDATE OF state ON generation WHEN NEW.state = 'retired' BEGIN
                        DELETE FROM live_stage WHERE hook = NEW.hook AND generation = NEW.number;
                        DELETE FROM live_entry WHERE hook = NEW.hook AND generation = NEW.number;
                    END;
                    CREATE TRIGGER live_forgotten BEFORE DELETE ON generation BEGIN
                        DELETE FROM live_entry WHERE hook = OLD.hook AND generation = OLD.number;
                    END;
                    -- A change of a live stage that has begun: LiveChange, JSON. A crash leaves it to be finished.
                    CREATE TABLE live_change (
                        hook TEXT PRIMARY KEY REFERENCES chain (hook),
                        change TEXT NOT NULL
                    ) STRICT;
                    -- The boot in which chains were last recovered, and since when what hook filters in it.
                    CREATE TABLE boot (
                        id TEXT PRIMARY KEY
                    ) STRICT;
                    CREATE TABLE gap (
                        hook TEXT PRIMARY KEY,
                        boot TEXT NOT NULL,
                        since TEXT NOT NULL,
                        milliseconds REAL NOT NULL,
                        until TEXT NOT NULL
                    ) STRICT;
                    -- The audit trail: never changed, only added to; the newest 100,000 are kept, and of what
                    -- stages report the newest 20,000.
                    CREATE TABLE event (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        time TEXT NOT NULL,
                        action TEXT NOT NULL,
                        hook TEXT,
                        outcome TEXT NOT NULL,
                        author TEXT NOT NULL,
                        message TEXT NOT NULL
                    ) STRICT;
                    CREATE INDEX event_hook ON event (hook, id);
                    """)
        }
        return migrator
    }

    /// What SQLite finds wrong with the file (`PRAGMA quick_check`); empty when it is whole.
    func faults() throws -> [String] {
        try read { try String.fetchAll($0, sql: "PRAGMA quick_check") }.filter { $0 != "ok" }
    }

    func read<T>(_ body: (Database) throws -> T) throws -> T { try queue.read(body) }
    func write<T>(_ body: (Database) throws -> T) throws -> T { try queue.write(body) }

    /// A time, now unless given, as records hold it: ISO 8601, UTC, milliseconds.
    static func timestamp(_ date: Date = Date()) -> String {
        date.formatted(
            .iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(separator: .omitted))
    }
}
