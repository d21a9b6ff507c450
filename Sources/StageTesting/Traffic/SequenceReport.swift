// SPDX-License-Identifier: Apache-2.0

/// What became of a numbered stream.
public struct SequenceReport: Sendable, Equatable, CustomStringConvertible {
    /// How many numbers were sent, counted from 0.
    public var sent: UInt64
    /// How many different ones arrived.
    public var received: UInt64
    public var lost: UInt64 { sent - received }
    /// Arrivals of a number that had arrived before.
    public var duplicated: UInt64
    /// Numbers that arrived after a higher one.
    public var reordered: UInt64
    /// Datagrams that were no part of the stream.
    public var foreign: UInt64
    /// The first of what did not arrive.
    public var missing: [ClosedRange<UInt64>]

    /// Whether each number arrived exactly once.
    public var isPerfect: Bool { lost == 0 && duplicated == 0 }

    public var description: String {
        let ranges = missing.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
        return "\(sent) sent, \(received) received, \(lost) lost, \(duplicated) twice, \(reordered) out of order"
            + (missing.isEmpty
                ? "" : " (missing: \(ranges.joined(separator: ", "))\(missing.count < 10 ? "" : ", ..."))")
    }
}

/// Keeps account of the numbers that arrive.
struct SequenceLedger: Sendable {
    /// A number above this is none of ours: it bounds the memory a stray datagram can claim.
    static let limit: UInt64 = 1 << 28

    private var seen: [UInt64] = []
    private var highest: UInt64?
    private(set) var received: UInt64 = 0
    private var duplicated: UInt64 = 0
    private var reordered: UInt64 = 0
    var foreign: UInt64 = 0

    mutating func note(_ number: UInt64) {
        guard number < SequenceLedger.limit else {
            foreign += 1
            return
        }
        let (word, bit) = (Int(number / 64), UInt64(1) << (number % 64))
        if word >= seen.count { seen += Array(repeating: 0, count: word + 1 - seen.count) }
        guard seen[word] & bit == 0 else {
            duplicated += 1
            return
        }
        seen[word] |= bit
        received += 1
        if let highest, number < highest { reordered += 1 } else { highest = number }
    }

    func report(sent: UInt64) -> SequenceReport {
        var missing: [ClosedRange<UInt64>] = []
        for number in 0..<sent where !contains(number) {
            if let last = missing.last, last.upperBound + 1 == number {
                missing[missing.count - 1] = last.lowerBound...number
            } else if missing.count < 10 {
                missing.append(number...number)
            } else {
                break
            }
        }
        return SequenceReport(
            sent: sent, received: received, duplicated: duplicated, reordered: reordered, foreign: foreign,
            missing: missing)
    }

    private func contains(_ number: UInt64) -> Bool {
        let word = Int(number / 64)
        return word < seen.count && seen[word] & (1 << (number % 64)) != 0
    }
}
