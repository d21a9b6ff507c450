// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct History: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List a chain's generations and what was done to it: when, who, why, how it ended.",
        discussion: """
            With -v what each generation changed. With --diff what differs between two generations: those numbered N and \
            M, N and the live one, or the one that was live before and the live one.
            """)

    @Argument(help: .init("The chain's hook, as in xdp:eth0.", valueName: "hook"))
    var hook: String

    @Argument(help: .init("Generations to compare, with --diff.", valueName: "n"))
    var generations: [Int] = []

    @Flag(help: "Show what differs between two generations.")
    var diff = false

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard generations.isEmpty || (diff && generations.count <= 2) else {
            throw ValidationError("one or two generations may be named, with --diff")
        }
    }

    func run() async throws {
        try await global.perform { client, printer in
            if diff {
                let numbers = generations
                let difference = try await client.difference(
                    hook, from: numbers.first, to: numbers.count > 1 ? numbers[1] : nil)
                try printer.show(difference) { Self.text(difference, $0) }
                return
            }
            let records = try await client.history(hook)
            let events = printer.format == .table ? try await client.events(of: hook, limit: 20) : []
            try printer.show(records) {
                Self.text(records, $0, verbose: printer.verbose) + Self.text(events, $0)
            }
        }
    }

    static func text(_ difference: GenerationDiff, _ style: Style) -> String {
        "\(style.bold(difference.hook)): generation \(difference.from) -> \(difference.to)\n"
            + (difference.lines.isEmpty ? "  they ask for the same\n" : "")
            + difference.lines.map { "  \(style.diff($0))\n" }.joined()
    }

    /// What was done, and what was tried and failed: that left no generation behind.
    static func text(_ events: [Event], _ style: Style) -> String {
        events.isEmpty ? "" : "\n" + style.dim("the last that was done or tried:") + "\n" + Events.text(events, style)
    }

    static func text(_ records: [GenerationRecord], _ style: Style, verbose: Bool) -> String {
        let columns: [Table.Column] = [
            .right("GEN"), .left("STATE"), .left("CREATED"), .left("AUTHOR"), .left("STAGES"), .left("MESSAGE"),
        ]
        func row(_ record: GenerationRecord) -> [Table.Cell] {
            let stages = record.stages.map { "\($0.name) \($0.title)" }.joined(separator: ", ")
            return [
                "\(record.number)", .init(record.state.rawValue, record.state == .live ? style.green : { $0 }),
                .init(record.created), .init(record.author), .init(stages), .init(record.message),
            ]
        }
        if !verbose { return Table(columns: columns, rows: records.map(row)).render(style) }
        return records.map { record in
            Table(columns: columns, rows: [row(record)]).render(style)
                + record.changes.map { "  \(style.diff($0))\n" }.joined()
                + record.stages.map { "  \($0.name): artifact \($0.artifact)\n" }.joined()
                + record.returnsTo.map { "  rolled back to: \($0)\n" }.joined()
        }.joined(separator: "\n")
    }
}
