// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Tables of 256 numbers: each a `struct dos_row`.
struct Rows {
    private(set) var rows: [[UInt16]] = []
    private var numbers: [[UInt16]: Int] = [:]
    private var constant: [Int: Int] = [:]

    /// The row that looks a byte up.
    mutating func byte(_ segments: [Segment]) -> Int {
        row(segments, from: 0)
    }

    /// Rows of rows, one after the other, that each look 16 bits up.
    mutating func wide(_ domains: [[Segment]]) -> Int {
        let tops = domains.map { segments in
            (0..<256).map { UInt16(truncatingIfNeeded: row(segments, from: $0 * 256)) }
        }
        rows += tops
        return rows.count - tops.count
    }

    /// The row of the 256 values from one on.
    private mutating func row(_ segments: [Segment], from start: Int) -> Int {
        var index = segments.before(UInt128(start))
        let single = index + 1 == segments.count || segments[index + 1].first >= UInt128(start + 256)
        if single, let known = constant[segments[index].class] { return known }
        var row: [UInt16] = []
        row.reserveCapacity(256)
        for value in start..<start + 256 {
            while index + 1 < segments.count, segments[index + 1].first <= UInt128(value) { index += 1 }
            row.append(UInt16(segments[index].class))
        }
        let number = numbers[row] ?? rows.count
        if number == rows.count {
            rows.append(row)
            numbers[row] = number
        }
        if single { constant[segments[index].class] = number }
        return number
    }

    var packed: [Bytes] {
        rows.map { row in
            var bytes = Bytes()
            for entry in row { bytes.append(entry) }
            return bytes
        }
    }
}

extension [Segment] {
    /// The index of the segment that a value is in.
    func before(_ value: UInt128) -> Int {
        var (low, high) = (0, count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if self[middle].first <= value { low = middle } else { high = middle - 1 }
        }
        return low
    }
}
