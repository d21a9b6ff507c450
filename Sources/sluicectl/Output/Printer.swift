// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Yams

/// Prints answers the way `--output` asks.
struct Printer {
    var format: OutputFormat
    var style: Style
    var verbose: Bool

    /// `value` as JSON or YAML, or the text made for people.
    func show(_ value: some Encodable, text: (Style) -> String) throws {
        let output =
            switch format {
            case .table: text(style)
            case .json: try Self.json(value, pretty: true)
            case .yaml: try YAMLEncoder().encode(value)
            }
        StandardOutput.write(output)
    }

    /// One of many: JSON on one line, YAML as a document of its own.
    func showOne(_ value: some Encodable, text: (Style) -> String) throws {
        switch format {
        case .table: StandardOutput.write(text(style))
        case .json: StandardOutput.write(try Self.json(value, pretty: false))
        case .yaml: StandardOutput.write("---\n" + (try YAMLEncoder().encode(value)))
        }
    }

    static func json(_ value: some Encodable, pretty: Bool) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
    }
}

/// stdout without a buffer, so that a follower sees each line at once.
enum StandardOutput {
    static func write(_ text: String) { writeAll(STDOUT_FILENO, text) }
}

enum StandardError {
    static func write(_ text: String) { writeAll(STDERR_FILENO, text) }
}

private func writeAll(_ descriptor: CInt, _ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR || errno == EAGAIN { continue }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
