// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import SluiceAPI

extension Store {
    /// The boot in which the manager last recovered, by the kernel's id; nil before the first.
    func lastBoot() throws -> String? {
        try read { try String.fetchOne($0, sql: "SELECT id FROM boot") }
    }

    /// Records that the chains of this boot are settled. What was noted of earlier boots is forgotten.
    func setLastBoot(_ id: String) throws {
        try write { db in
            try db.execute(sql: "DELETE FROM boot WHERE id <> ?", arguments: [id])
            try db.execute(sql: "DELETE FROM gap WHERE boot <> ?", arguments: [id])
            try db.execute(sql: "INSERT INTO boot (id) VALUES (?) ON CONFLICT DO NOTHING", arguments: [id])
        }
    }

    func setGap(_ gap: FilteringGap, of hook: String, boot: String) throws {
        try write { db in
            try db.execute(
                sql: "INSERT OR REPLACE INTO gap (hook, boot, since, milliseconds, until) VALUES (?, ?, ?, ?, ?)",
                arguments: [hook, boot, gap.since.rawValue, gap.milliseconds, gap.until])
        }
    }

    /// The last gap of a hook in a boot; nil when there was none.
    func gap(of hook: String, boot: String) throws -> FilteringGap? {
        try read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM gap WHERE hook = ? AND boot = ?", arguments: [hook, boot])
                .flatMap { row in
                    FilteringGap.Start(rawValue: row["since"]).map {
                        FilteringGap(since: $0, milliseconds: row["milliseconds"], until: row["until"])
                    }
                }
        }
    }
}
