// SPDX-License-Identifier: Apache-2.0

/// Columns of text, aligned.
struct Table {
    enum Alignment { case left, right }

    struct Column {
        var title: String
        var alignment: Alignment

        static func left(_ title: String) -> Column { Column(title: title, alignment: .left) }
        static func right(_ title: String) -> Column { Column(title: title, alignment: .right) }
    }

    struct Cell: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
        var text: String
        /// Colour takes no room, so it is put on after the padding is known.
        var paint: (String) -> String = { $0 }

        init(_ text: String, _ paint: @escaping (String) -> String = { $0 }) {
            self.text = text
            self.paint = paint
        }

        init(stringLiteral value: String) { self.init(value) }

        /// A number for people.
        static func number(_ value: UInt64) -> Cell { Cell(grouped(value)) }
    }

    var columns: [Column]
    var rows: [[Cell]] = []

    /// The lines with their line feeds, each indented by `indent` spaces.
    func render(_ style: Style, indent: Int = 0) -> String {
        let header = columns.map { Cell($0.title, style.dim) }
        let widths = columns.indices.map { index in ([header] + rows).map { $0[index].text.count }.max() ?? 0 }
        return ([header] + rows).map { row in
            var line = String(repeating: " ", count: indent)
            for (index, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[index] - cell.text.count)
                let isLast = index == row.count - 1
                switch columns[index].alignment {
                case .left: line += cell.paint(cell.text) + (isLast ? "" : padding)
                case .right: line += padding + cell.paint(cell.text)
                }
                if !isLast { line += "  " }
            }
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }
}

/// `1234567` as `1,234,567`.
func grouped(_ value: UInt64) -> String {
    var text = ""
    let digits = String(value)
    for (index, digit) in digits.enumerated() {
        if index > 0, (digits.count - index).isMultiple(of: 3) { text.append(",") }
        text.append(digit)
    }
    return text
}
