// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// A file descriptor with one owner, closed when the owner goes. Always close-on-exec.
public struct OwnedFD: ~Copyable, Sendable {
    /// Valid as long as this value lives; do not close it.
    public let raw: Int32

    /// Takes over `raw`.
    public init(taking raw: Int32) {
        self.raw = raw
    }

    deinit {
        Glibc.close(raw)
    }

    /// A second descriptor of the same object (`F_DUPFD_CLOEXEC`, never 0 to 2).
    public static func duplicate(_ raw: Int32, of object: String) throws(BPFError) -> OwnedFD {
        let copy = fcntl(raw, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw BPFError("duplicate descriptor of", object, errno: .current) }
        return OwnedFD(taking: copy)
    }

    /// Opens `path` (`open(2)`, close-on-exec).
    public static func open(_ path: String, flags: Int32) throws(BPFError) -> OwnedFD {
        let raw = Glibc.open(path, flags | O_CLOEXEC)
        guard raw >= 0 else { throw BPFError("open", path, errno: .current) }
        return OwnedFD(taking: raw)
    }
}
