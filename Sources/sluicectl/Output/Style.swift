// SPDX-License-Identifier: Apache-2.0

/// Colour, where it is wanted.
struct Style: Sendable {
    var isColoured: Bool

    static let plain = Style(isColoured: false)

    func red(_ text: String) -> String { paint(31, text) }
    func green(_ text: String) -> String { paint(32, text) }
    func yellow(_ text: String) -> String { paint(33, text) }
    func dim(_ text: String) -> String { paint(2, text) }
    func bold(_ text: String) -> String { paint(1, text) }

    /// A line of a plan's diff, by its first character.
    func diff(_ line: String) -> String {
        switch line.first {
        case "+": green(line)
        case "-": red(line)
        case "~": yellow(line)
        default: line
        }
    }

    private func paint(_ code: Int, _ text: String) -> String {
        isColoured && !text.isEmpty ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}
