// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// Prints the tour: numbered steps, plain words, commands and what they answer.
final class Narrator {
    private var number = 0
    private let isTerminal = isatty(STDOUT_FILENO) == 1

    /// The heading of the next step.
    func step(_ title: String) {
        number += 1
        put("\n" + bold("\(number). \(title)") + "\n")
    }

    /// A paragraph, as it is written, indented.
    func say(_ text: String) {
        put(indented(text, by: 3) + "\n")
    }

    /// A command as somebody would type it.
    func command(_ words: [String]) {
        put("\n   " + bold("$ " + words.joined(separator: " ")) + "\n")
    }

    /// What a command answered.
    func answer(_ text: String) {
        put(indented(text, by: 5) + "\n\n")
    }

    private func indented(_ text: String, by columns: Int) -> String {
        let margin = String(repeating: " ", count: columns)
        let text = text.hasSuffix("\n") ? String(text.dropLast()) : text
        return text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.isEmpty ? "" : margin + $0 }.joined(separator: "\n")
    }

    private func bold(_ text: String) -> String { isTerminal ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
}

/// Writes at once, unbuffered: what is told must not lag behind what is done.
func put(_ text: String, to descriptor: Int32 = STDOUT_FILENO) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}

/// A number for people: `1,234,567`.
func grouped(_ number: UInt64) -> String {
    var digits = String(number)
    var groups: [String] = []
    while digits.count > 3 {
        groups.insert(String(digits.suffix(3)), at: 0)
        digits.removeLast(3)
    }
    return ([digits] + groups).joined(separator: ",")
}
