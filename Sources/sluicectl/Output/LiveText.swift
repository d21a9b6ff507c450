// SPDX-License-Identifier: Apache-2.0

import SluiceAPI

extension StageChangeReport {
    func text(_ style: Style, verbose: Bool) -> String {
        var text = "\(style.bold("\(hook) \(stage)")): generation \(generation)\n"
        text += lines.map { "  \($0)\n" }.joined() + notes.map { "  \(style.yellow("note:")) \($0)\n" }.joined()
        return verbose ? text + timings.text(style) : text
    }
}

extension Printer {
    /// A plugin's table; in JSON and YAML a list of its rows, each an object by column.
    func show(_ inspection: StageInspection) throws {
        try show(inspection.objects) { inspection.text($0) }
    }
}

extension StageInspection {
    /// The rows, each an object by column.
    var objects: [JSONValue] {
        rows.map { row in .object(Dictionary(zip(columns, row)) { first, _ in first }) }
    }

    func text(_ style: Style) -> String {
        var table = Table(
            columns: columns.enumerated().map { index, title in
                let isNumbers = rows.contains { $0[index].isNumber } && !rows.contains { $0[index].isText }
                return isNumbers ? .right(title.uppercased()) : .left(title.uppercased())
            })
        table.rows = rows.map { $0.map(\.cell) }
        return (rows.isEmpty ? "none\n" : table.render(style))
            + notes.map { "\(style.yellow("note:")) \($0)\n" }.joined()
    }
}

extension JSONValue {
    fileprivate var isText: Bool { if case .string = self { true } else { false } }

    fileprivate var isNumber: Bool {
        switch self {
        case .integer, .unsigned: true
        default: false
        }
    }

    fileprivate var cell: Table.Cell {
        switch self {
        case .integer(let value): .init((value < 0 ? "-" : "") + grouped(value.magnitude))
        case .unsigned(let value): .number(value)
        case .string(let text): .init(text)
        default: "-"
        }
    }
}
