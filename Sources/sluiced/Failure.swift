// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Something that keeps the daemon from starting or from serving a connection.
struct Failure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }

    /// `operation: what errno says`.
    init(operation: String, errno code: CInt = errno) {
        description = "\(operation): \(String(cString: strerror(code)))"
    }
}
