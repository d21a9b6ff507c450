// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct History: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List a chain's generations: when, who, why; with -v what changed.")

    @Argument(help: .init("The chain's hook, as in xdp:eth0.", valueName: "hook"))
    var hook: String

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let records = try await client.history(hook)
            try printer.show(records) { Self.text(records, $0, verbose: printer.verbose) }
        }
    }

    static func text(_ records: [GenerationRecord], _ style: Style, verbose: Bool) -> String {
        let columns: [Table.Column] = [
            .right("GEN"), .left("STATE"), .left("CREATED"), .left("AUTHOR"), .left("STAGES"), .left("REASON"),
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
