// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// The bounds of a plugin's answers, as `docs/plugin-protocol.md` states them. An answer is untrusted input.
enum AnswerLimits {
    static let label = 200
    static let summaryLine = 1000
    static let summaryLines = 16384
    static let constants = 256
    static let constantBytes = 64 << 10
    static let maps = 64
    static let entries = 1_000_000
    static let maxEntries = 16 << 20
    static let keyBytes = 512
    static let valueBytes = 64 << 10
    static let samples = 256
    static let packet = 14...9216
    static let counterTables = 16
    static let columns = 16
    static let rows = 16384
    static let liveMaps = 16
    /// Of all live maps together, and of one change.
    static let liveEntries = 65536
    static let liveBytes = 16 << 20
    static let cgroups = 256
    static let updates = 256
    static let changeLines = 1024
    static let tableColumns = 64
    static let tableRows = 65536
    static let notes = 256
}

/// Checks an answer's contents after its form; throws ``StageError`` with the place in the answer.
struct AnswerCheck {
    let plugin: InstalledPlugin

    func check(_ description: StageDescription) throws(StageError) {
        try require(
            description.name == plugin.name, "name", "\"\(description.name)\", but its folder says \"\(plugin.name)\"")
        try require(
            description.version == plugin.version.description, "version",
            "\"\(description.version)\", but its folder says \"\(plugin.version)\"")
        try text(description.summary, "summary")
        try require(!description.hooks.isEmpty, "hooks", "at least one is needed")
        try unique(description.hooks.map(\.rawValue), "hooks")
    }

    func check(_ plan: StagePlan) throws(StageError) {
        try require(PluginName.isFile(plan.object), "object", "\"\(plan.object)\" is not a plain file name")
        try require(
            plugin.object(plan.object) != nil, "object",
            "\"\(plan.object)\" is not a regular file of \(plugin.path) that only its owner may write")
        try identifier(plan.program, "program")
        try require(!plan.verdicts.isEmpty, "verdicts", "at least one is needed")
        try unique(plan.verdicts.map(\.rawValue), "verdicts")
        try constants(plan.constants)
        try maps(plan.maps)
        try samples(plan.samples)
        try counters(plan.counters)
        try atMost(AnswerLimits.liveMaps, plan.live.count, "live")
        try unique(plan.live, "live")
        for name in plan.live { try identifier(name, "live") }
        if let ring = plan.ring { try identifier(ring, "ring") }
        try atMost(AnswerLimits.cgroups, plan.cgroups.count, "cgroups")
        for (index, reference) in plan.cgroups.enumerated() {
            try identifier(reference.map, "cgroups[\(index)].map")
            if let why = HookID.whyNoCgroup(reference.cgroup) {
                throw StageError("\"\(reference.cgroup)\": \(why)", at: "cgroups[\(index)].cgroup")
            }
        }
        try unique(plan.needs.map(\.rawValue), "needs")
        try atMost(AnswerLimits.summaryLines, plan.summary.count, "summary")
        try lines(plan.summary, "summary")
    }

    /// What a plan says, against the hook that its stage is to stand at.
    func check(_ plan: StagePlan, at kind: HookKind) throws(StageError) {
        for verdict in plan.verdicts where verdict != .next {
            try require(
                kind.verdicts.contains(verdict), "verdicts",
                "\"\(verdict.rawValue)\" is no verdict of \(kind.rawValue), which has: "
                    + kind.verdicts.map(\.rawValue).joined(separator: ", "))
        }
        try require(
            kind == .tcEgress || plan.needs.isEmpty, "needs", "at \(kind.rawValue) there is no qdisc behind the chain")
        try require(
            kind.hasPackets || plan.samples.isEmpty, "samples", "at \(kind.rawValue) there are no packets to try")
    }

    /// What a plan says of `run`, against what the plugin says of it.
    func check(_ plan: StagePlan, of description: StageDescription) throws(StageError) {
        try require(description.runs || plan.runs != true, "runs", "the plugin's description says that it never does")
        try require(
            description.runs || plan.ring == nil, "ring",
            "who gets its records is `run`, and the plugin's description says that it never runs")
    }

    func check(reason: String) throws(StageError) {
        try text(reason, "reason", limit: AnswerLimits.summaryLine)
    }

    /// - Parameter live: the maps that may be set.
    func check(_ change: StageChange, live: [String]) throws(StageError) {
        try atMost(AnswerLimits.updates, change.updates.count, "updates")
        var (entries, bytes) = (0, 0)
        for (index, update) in change.updates.enumerated() {
            let path = "updates[\(index)]"
            try require(
                live.contains(update.map), "\(path).map",
                "\"\(update.map)\" is not one of the plan's live maps, \(live.joined(separator: ", "))")
            try Self.entries(update.entries, at: "\(path).entries")
            entries += update.entries.count
            bytes += update.entries.reduce(0) { $0 + $1.key.raw.count + $1.value.raw.count }
        }
        try atMost(AnswerLimits.liveEntries, entries, "updates")
        try require(
            bytes <= AnswerLimits.liveBytes, "updates", "\(bytes) bytes are more than \(AnswerLimits.liveBytes)")
        try require(!change.summary.isEmpty, "summary", "at least one line is needed")
        try atMost(AnswerLimits.changeLines, change.summary.count, "summary")
        try lines(change.summary, "summary")
    }

    func check(_ table: StageTable) throws(StageError) {
        try require(!table.columns.isEmpty, "columns", "at least one is needed")
        try atMost(AnswerLimits.tableColumns, table.columns.count, "columns")
        try unique(table.columns, "columns")
        for column in table.columns { try text(column, "columns") }
        try atMost(AnswerLimits.tableRows, table.rows.count, "rows")
        for (index, row) in table.rows.enumerated() {
            try require(
                row.count == table.columns.count, "rows[\(index)]",
                "\(row.count) cells, but there are \(table.columns.count) columns")
            for (column, cell) in row.enumerated() { try self.cell(cell, "rows[\(index)][\(column)]") }
        }
        try atMost(AnswerLimits.notes, table.notes.count, "notes")
        try lines(table.notes, "notes")
    }

    private func cell(_ cell: JSON, _ path: String) throws(StageError) {
        switch cell {
        case .null, .integer, .unsigned: return
        case .string(let text):
            try require(
                text.utf8.count <= AnswerLimits.summaryLine && PluginText.isPlain(text), path,
                "a text has at most \(AnswerLimits.summaryLine) bytes and no control or formatting characters")
        default: throw StageError("a cell is a string, an integer or null", at: path)
        }
    }

    private func lines(_ lines: [String], _ path: String) throws(StageError) {
        for (index, line) in lines.enumerated() {
            try text(line, "\(path)[\(index)]", limit: AnswerLimits.summaryLine)
        }
    }

    private func constants(_ constants: [String: Constant]) throws(StageError) {
        try atMost(AnswerLimits.constants, constants.count, "constants")
        for (name, value) in constants {
            try identifier(name, "constants")
            guard case .bytes(let bytes) = value else { continue }
            try size(bytes, 1...AnswerLimits.constantBytes, "constants.\(name)")
        }
    }

    private func maps(_ maps: [String: MapPlan]) throws(StageError) {
        try atMost(AnswerLimits.maps, maps.count, "maps")
        var total = 0
        for (name, map) in maps {
            try identifier(name, "maps")
            if let maxEntries = map.maxEntries {
                try require(
                    (1...UInt32(AnswerLimits.maxEntries)).contains(maxEntries), "maps.\(name).maxEntries",
                    "\(maxEntries) is not from 1 to \(AnswerLimits.maxEntries)")
            }
            total += map.entries.count
            try atMost(AnswerLimits.entries, total, "maps")
            try Self.entries(map.entries, at: "maps.\(name).entries")
        }
    }

    /// Checks the entries of one map; the kernel knows the sizes, but all must be alike.
    static func entries(_ entries: [MapEntry], at path: String) throws(StageError) {
        guard let first = entries.first else { return }
        for (index, entry) in entries.enumerated() {
            let keys = (1...AnswerLimits.keyBytes).contains(entry.key.raw.count)
            let values = (1...AnswerLimits.valueBytes).contains(entry.value.raw.count)
            guard keys, values else {
                throw StageError(
                    "a key has 1 to \(AnswerLimits.keyBytes) bytes, a value 1 to \(AnswerLimits.valueBytes)",
                    at: "\(path)[\(index)]")
            }
            guard entry.key.raw.count == first.key.raw.count, entry.value.raw.count == first.value.raw.count else {
                throw StageError("its key or value is not as long as the first entry's", at: "\(path)[\(index)]")
            }
        }
    }

    private func samples(_ samples: [Sample]) throws(StageError) {
        try atMost(AnswerLimits.samples, samples.count, "samples")
        for (index, sample) in samples.enumerated() {
            try text(sample.name, "samples[\(index)].name")
            try size(sample.packet, AnswerLimits.packet, "samples[\(index)].packet")
        }
    }

    private func counters(_ tables: [CounterTable]) throws(StageError) {
        try atMost(AnswerLimits.counterTables, tables.count, "counters")
        try unique(tables.map(\.name), "counters")
        for (index, table) in tables.enumerated() {
            let path = "counters[\(index)]"
            try text(table.name, "\(path).name")
            try identifier(table.map, "\(path).map")
            try require(!table.columns.isEmpty, "\(path).columns", "at least one is needed")
            try atMost(AnswerLimits.columns, table.columns.count, "\(path).columns")
            try require(!table.rows.isEmpty, "\(path).rows", "at least one is needed")
            try atMost(AnswerLimits.rows, table.rows.count, "\(path).rows")
            for column in table.columns { try text(column, "\(path).columns") }
            try unique(table.times, "\(path).times")
            for column in table.times {
                try require(table.columns.contains(column), "\(path).times", "\"\(column)\" is not one of its columns")
            }
            for row in table.rows { try text(row, "\(path).rows") }
        }
    }

    private func require(_ holds: Bool, _ path: String, _ message: @autoclosure () -> String) throws(StageError) {
        if !holds { throw StageError(message(), at: path) }
    }

    private func atMost(_ limit: Int, _ count: Int, _ path: String) throws(StageError) {
        try require(count <= limit, path, "\(count) are more than \(limit)")
    }

    private func size(_ bytes: Bytes, _ range: ClosedRange<Int>, _ path: String) throws(StageError) {
        try require(
            range.contains(bytes.raw.count), path,
            "\(bytes.raw.count) bytes are not \(range.lowerBound) to \(range.upperBound)")
    }

    private func identifier(_ name: String, _ path: String) throws(StageError) {
        try require(PluginName.isIdentifier(name), path, "\"\(name)\" is not a C name of at most 63 characters")
    }

    private func text(_ text: String, _ path: String, limit: Int = AnswerLimits.label) throws(StageError) {
        try require(
            !text.isEmpty && text.utf8.count <= limit, path, "a text of 1 to \(limit) bytes is needed")
        try require(PluginText.isPlain(text), path, "the text has control or formatting characters")
    }

    private func unique(_ values: [String], _ path: String) throws(StageError) {
        var seen: Set<String> = []
        for value in values where !seen.insert(value).inserted {
            throw StageError("\"\(value)\" is there twice", at: path)
        }
    }
}
