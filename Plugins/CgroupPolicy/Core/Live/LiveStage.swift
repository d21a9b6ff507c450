// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// What can be shown of a live stage: `{"list": "rules"}` and `{"explain": {...}}`.
public enum LiveStage {
    private struct Question: Decodable {
        enum List: String, Decodable, CaseIterable {
            case rules
        }

        var list: List?
        var explain: Call?
    }

    /// The map that says how many reports found the ring full. That it is shown is all that is live of a policy: it is
    /// changed by another generation, which can be taken back.
    static let unreported = "unreported"

    public static func inspect(_ request: InspectRequest) throws -> StageTable {
        let question = try request.request.decode(Question.self)
        let configuration = try request.configuration.decode(Configuration.self)
        guard let part = request.context.kind.flatMap({ Part($0) }) else {
            throw StageError("\(request.context.hook) is no hook of a cgroup")
        }
        switch (question.list, question.explain) {
        case (.rules, nil):
            var table = rules(configuration, part, request.counters["rules"] ?? [])
            if let value = request.maps[unreported]?.first?.value, value.raw.count == 8 {
                table.notes.append("\(value.number(as: UInt64.self)) denials were not reported, as the ring was full")
            }
            return table
        case (nil, let call?): return try Explanation(call, configuration, part).table
        default: throw StageError("expected either `list` or `explain`")
        }
    }

    private static func rules(_ configuration: Configuration, _ part: Part, _ counters: [[UInt64]]) -> StageTable {
        let counted = part.isOfPackets ? ["packets", "bytes"] : ["calls"]
        func counts(_ row: Int) -> [JSON] {
            let values = row < counters.count ? counters[row] : counted.map { _ in 0 }
            return values.prefix(counted.count).map { .integer(Int64(clamping: $0)) }
        }
        let isAudit = configuration.mode == .audit
        let notes = isAudit ? ["the mode is audit: what is denied is counted and reported, and goes on"] : []
        if part == .sockCreate, let sockets = configuration.sockCreate {
            let rows: [[JSON]] =
                sockets.deny.enumerated().map { [.string($1.rawValue), "deny"] + counts($0 + 1) }
                + [[.string(Rules.defaultName), "allow"] + counts(0)]
            return StageTable(columns: ["rule", "action"] + counted, rows: rows, notes: notes)
        }
        guard let rules = configuration.rules(part) else {
            return StageTable(
                columns: ["rule", "action"], rows: [], notes: ["nothing is said of \(part.rawValue): all goes on"])
        }
        let rows: [[JSON]] =
            rules.rules.enumerated().map { [.string($1.name), .string($1.text)] + counts($0 + 1) }
            + [[.string(Rules.defaultName), .string(rules.otherwise.rawValue)] + counts(0)]
        return StageTable(columns: ["rule", "action"] + counted, rows: rows, notes: notes)
    }
}
