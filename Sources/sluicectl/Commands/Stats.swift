// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import SluiceAPI

struct Stats: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a chain's counters, the stages' own included.",
        discussion: """
            With --top it is the stage's plugin that tells, of what it has seen since it runs; it names what it can tell \
            of when asked for something else.
            """)

    @Argument(help: .init("The chain's hook, as in xdp:eth0.", valueName: "hook"))
    var hook: String

    @Option(help: .init("Only this stage.", valueName: "name"))
    var stage: String?

    @Option(help: .init("What the stage's plugin sees most of, as in sources.", valueName: "what"))
    var top: String?

    @Option(help: .init("Again every so many seconds, with rates.", valueName: "seconds"))
    var watch: Double?

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if top != nil, stage == nil { throw ValidationError("--top needs --stage: who is asked is a stage's plugin") }
        if let watch, !(0.1...3600).contains(watch) {
            throw ValidationError("--watch takes a number of seconds from 0.1 to 3600")
        }
    }

    func run() async throws {
        if let top, let stage { return try await ask(for: top, of: stage) }
        try await global.perform { client, printer in
            var before: (stats: ChainStats, at: ContinuousClock.Instant)?
            while true {
                let now = ContinuousClock.now
                let stats = try choose(await client.stats(hook))
                let rates = before.map { Rates(from: $0.stats, to: stats, over: now - $0.at) }
                if let watch {
                    try printer.showOne(stats) { printer.clearing + Self.text(stats, rates, $0) }
                    before = (stats, now)
                    try await Task.sleep(for: .seconds(watch))
                } else {
                    try printer.show(stats) { Self.text(stats, nil, $0) }
                    return
                }
            }
        }
    }

    private func ask(for top: String, of stage: String) async throws {
        try await global.perform { client, printer in
            while true {
                let answer = try await client.ask(hook, stage: stage, StageAskRequest(question: ["top": .string(top)]))
                guard let watch else { return try printer.show(answer) }
                try printer.showOne(answer.objects) { printer.clearing + answer.text($0) }
                try await Task.sleep(for: .seconds(watch))
            }
        }
    }

    private func choose(_ stats: ChainStats) throws -> ChainStats {
        guard let stage else { return stats }
        var chosen = stats
        chosen.stages = stats.stages.filter { $0.name == stage }
        if chosen.stages.isEmpty {
            let names = stats.stages.map { "\"\($0.name)\"" }.joined(separator: ", ")
            throw APIErrorBody(
                code: "not-found", message: "chain \(hook) has no stage \"\(stage)\"; it has \(names)")
        }
        return chosen
    }

    static func text(_ stats: ChainStats, _ rates: Rates?, _ style: Style) -> String {
        var text = "\(style.bold(stats.hook)): generation \(stats.generation)\n"
        text += CounterTable.render(
            stats.stages.map { stage in
                (stage.name, rates?.packets[stage.name].map { "\(grouped($0)) packets/s" } ?? "", stage.counters)
            }, title: "RATE", style)
        for stage in stats.stages {
            for table in stage.tables {
                var rendered = Table(
                    columns: [.left(table.name.uppercased())] + table.columns.map { .right($0.uppercased()) })
                rendered.rows = table.rows.map { row in
                    // A row that is short of a value still has its columns.
                    [.init(row.label)]
                        + table.columns.indices.map { $0 < row.values.count ? row.values[$0].cell : "-" }
                }
                text += "\n  \(style.bold(stage.name))\n" + rendered.render(style, indent: 2)
            }
        }
        return text
    }

    /// Packets a second of each stage; a counter that fell (another generation) has none.
    struct Rates {
        var packets: [String: UInt64] = [:]

        init(from old: ChainStats, to new: ChainStats, over time: Duration) {
            guard old.generation == new.generation, time > .zero else { return }
            for stage in new.stages {
                guard let now = stage.counters?.packets,
                    let then = old.stages.first(where: { $0.name == stage.name })?.counters?.packets, now >= then
                else { continue }
                packets[stage.name] = UInt64((Double(now - then) / (time / .seconds(1))).rounded())
            }
        }
    }
}

extension StatsValue {
    fileprivate var cell: Table.Cell {
        switch self {
        case .count(let count): .number(count)
        case .time(let time): .init(time ?? "never")
        }
    }
}

extension Printer {
    /// What makes room on a terminal for the same once more.
    fileprivate var clearing: String { format == .table && isatty(STDOUT_FILENO) == 1 ? "\u{1B}[H\u{1B}[J" : "" }
}
