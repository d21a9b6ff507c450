// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A question for the addresses of a name (RFC 1035), and whether something answers it.
struct DNSQuery: Sendable {
    let id: UInt16
    let name: String

    private static let response: UInt8 = 0x80
    /// Of the status: no error, and no such name, which is an answer too.
    private static let well: Set<UInt8> = [0, 3]

    static func isName(_ name: String) -> Bool {
        let labels = labels(of: name)
        return labels.allSatisfy {
            (1...63).contains($0.utf8.count) && $0.utf8.allSatisfy { (0x21...0x7e).contains($0) }
        }
            && name.utf8.count <= 253
    }

    private static func labels(of name: String) -> [Substring] {
        // The root's name is a dot, and there may be one behind any other.
        let name = name.hasSuffix(".") ? name.dropLast() : name[...]
        return name.isEmpty ? [] : name.split(separator: ".", omittingEmptySubsequences: false)
    }

    private var question: [UInt8] {
        Self.labels(of: name).flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0, 0, 1, 0, 1]
    }

    /// A header that wants recursion and has one question, and the question.
    var bytes: [UInt8] {
        var bytes = Bytes()
        bytes.append(bigEndian: id)
        bytes.append(bytes: [1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        return bytes.raw + question
    }

    /// The id of a message; nil when it is too short to be one.
    static func id(of message: [UInt8]) -> UInt16? {
        message.count >= 12 ? UInt16(message[0]) << 8 | UInt16(message[1]) : nil
    }

    /// Nil when `message` is an answer to this question, and what is wrong with it otherwise.
    func fault(of message: [UInt8]) -> String? {
        guard Self.id(of: message) == id, message[2] & Self.response != 0, message.dropFirst(12).starts(with: question)
        else { return "answers something else" }
        let status = message[3] & 0x0f
        return Self.well.contains(status) ? nil : "answers with status \(status)"
    }
}
