// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// `flock(2)` on a directory, held as long as this value lives; the kernel lets go of it when a process dies.
public struct DirectoryLock: ~Copyable, Sendable {
    private let fd: OwnedFD

    /// Takes the lock without waiting.
    /// - Throws: `EWOULDBLOCK` when another process holds it.
    public init(_ path: String) throws(BPFError) {
        let fd = try OwnedFD.open(path, flags: O_RDONLY | O_DIRECTORY)
        guard flock(fd.raw, LOCK_EX | LOCK_NB) == 0 else { throw BPFError("lock", path, errno: .current) }
        self.fd = fd
    }
}
