// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// Makes of records what people are told: an event a second for the same thing, however often it is tried, and a table of
/// what is tried most. Pure: the moment comes from outside.
public struct DenialLog: Sendable {
    /// Of one look; what is more is told as a number.
    static let linesAtOnce = 8
    /// Kinds of denials that are kept in mind.
    static let kept = 4096

    private struct Tally {
        var count = 0
        /// In seconds.
        var last = 0.0
    }

    private let part: Part
    private let hook: String
    private let stage: String
    private let names: [String]
    private var pending: [Denial.Subject: (count: Int, withheld: Int)] = [:]
    /// In the order that they came in.
    private var order: [Denial.Subject] = []
    private var unlisted = 0
    private var lost = 0
    private var tallies: [Denial.Subject: Tally] = [:]

    public init(_ configuration: Configuration, in context: PlanContext) {
        part = context.kind.flatMap { Part($0) } ?? .connect
        names = configuration.labels(part)
        (hook, stage) = (context.hook, context.stage)
    }

    public mutating func take(_ records: StageRecords, at time: Double) {
        lost += records.lost
        for record in records.records {
            guard let denial = Denial(record, part) else { continue }
            if pending[denial.subject] == nil {
                guard order.count < Self.kept else {
                    unlisted += 1
                    continue
                }
                order.append(denial.subject)
            }
            pending[denial.subject, default: (0, 0)].count += 1
            pending[denial.subject]?.withheld += denial.withheld
            tally(denial.subject, at: time)
        }
    }

    /// What there is to tell of what came since this was asked last; asked every second.
    public mutating func lines() -> [String] {
        defer {
            pending = [:]
            order = []
            (unlisted, lost) = (0, 0)
        }
        var lines = order.prefix(Self.linesAtOnce).map { subject in
            let (count, withheld) = pending[subject]!
            return subject.text(part, rule: name(subject.rule), times: count, withheld: withheld)
        }
        let rest = order.dropFirst(Self.linesAtOnce)
        let more = rest.reduce(unlisted) { $0 + pending[$1]!.count }
        if more > 0 {
            lines.append(
                "\(more) more denials of \(rest.count) kinds within a second; see `sluicectl stats \(hook) --stage \(stage) "
                    + "--top denials`")
        }
        if lost > 0 { lines.append("\(lost) reports of denials were lost on the way; the counters have all") }
        return lines
    }

    private mutating func tally(_ subject: Denial.Subject, at time: Double) {
        if tallies[subject] == nil, tallies.count >= Self.kept {
            // A quarter of room, so that this is rare.
            let oldest = tallies.sorted { $0.value.last < $1.value.last }.prefix(Self.kept / 4)
            for (key, _) in oldest { tallies[key] = nil }
        }
        tallies[subject, default: Tally()].count += 1
        tallies[subject]?.last = time
    }

    private func name(_ rule: Int) -> String { rule < names.count ? names[rule] : "rule \(rule)" }
}

// MARK: - Questions

/// `sluicectl stats HOOK --stage STAGE --top WHAT`.
private struct TopQuestion: Decodable {
    enum Subject: String, Decodable, CaseIterable {
        case denials, destinations, processes, rules
    }

    var top: Subject
    var limit: Int?
}

extension DenialLog {
    /// What was denied most, of what was reported since the stage's work began.
    public func answer(_ question: JSON, at time: Double) throws -> StageTable {
        let question = try question.decode(TopQuestion.self)
        let limit = question.limit ?? 20
        guard (1...1000).contains(limit) else { throw StageError("\(limit): expected 1 to 1000", at: "limit") }
        func ranked<Key: Hashable>(
            _ columns: [String], by key: (Denial.Subject) -> Key, row: (Denial.Subject) -> [JSON]
        ) -> StageTable {
            var groups: [Key: (subject: Denial.Subject, tally: Tally)] = [:]
            for (subject, tally) in tallies {
                var group = groups[key(subject)] ?? (subject, Tally())
                group.tally.count += tally.count
                group.tally.last = max(group.tally.last, tally.last)
                groups[key(subject)] = group
            }
            // Of as many the latest first.
            let sorted = groups.values.sorted { ($0.tally.count, $0.tally.last) > ($1.tally.count, $1.tally.last) }
            let rows = sorted.prefix(limit).map {
                row($0.subject) + [.integer(Int64($0.tally.count)), .integer(Int64(max(0, time - $0.tally.last)))]
            }
            return StageTable(
                columns: columns + ["reported", "seconds ago"], rows: rows,
                notes: ["of what was reported; `sluicectl rule list \(hook) \(stage)` counts all, by rule"])
        }
        switch question.top {
        case .denials:
            return ranked(["rule", "destination", "protocol", "who"], by: { $0 }) { subject in
                [
                    .string(name(subject.rule)), .string(subject.destination), .string(subject.transport),
                    .string(subject.who),
                ]
            }
        case .destinations:
            return ranked(["destination", "protocol"], by: { [$0.destination, $0.transport] }) {
                [.string($0.destination), .string($0.transport)]
            }
        case .processes:
            return ranked(["who"], by: { $0.who }) { [.string($0.who)] }
        case .rules:
            return ranked(["rule"], by: { $0.rule }) { [.string(name($0.rule))] }
        }
    }
}
