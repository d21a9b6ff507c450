// SPDX-License-Identifier: Apache-2.0

import StageTesting

/// Collects what is not as it should be, a line each.
struct SoakFaults {
    private(set) var lines: [String] = []

    mutating func expect<T: Equatable>(_ what: String, _ found: T, _ wanted: T) {
        if found != wanted { lines.append("\(what): \(found), not \(wanted)") }
    }

    mutating func add(_ found: [String]) { lines += found }

    /// - Throws: all of them, if there are any.
    func check() throws {
        if !lines.isEmpty { throw LabError(lines.joined(separator: "\n")) }
    }
}
