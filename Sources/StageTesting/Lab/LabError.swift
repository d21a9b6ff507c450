// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What went wrong in a lab: what was tried, on what, and why.
public struct LabError: Error, CustomStringConvertible, Sendable {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }

    /// `operation: Operation not permitted`, from an errno.
    init(_ operation: String, errno: Int32) {
        self.init("\(operation): \(String(cString: strerror(errno)))")
    }

    /// Throws when a C function answered with a negative errno; returns what it answered otherwise.
    @discardableResult
    static func check(_ status: Int32, _ operation: @autoclosure () -> String) throws -> Int32 {
        guard status < 0 else { return status }
        throw LabError(operation(), errno: -status)
    }
}
