// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Who is at the other end of a Unix socket, as the kernel recorded it when the peer connected.
struct Peer: Sendable, Equatable {
    var pid: pid_t
    var uid: uid_t
    /// The peer's effective and supplementary groups. What the process holds, not what the user database would grant
    /// it: a process that gave up its groups has lost their rights, and no directory service is asked on the way.
    var groups: Set<gid_t>

    init(pid: pid_t, uid: uid_t, groups: Set<gid_t>) {
        self.pid = pid
        self.uid = uid
        self.groups = groups
    }

    /// Reads `SO_PEERCRED` and `SO_PEERGROUPS` (Linux 4.13) of a connected Unix socket.
    init(descriptor: CInt) throws(Failure) {
        // struct ucred, which Glibc hides without _GNU_SOURCE: pid, uid, gid, 32 bits each.
        var credentials: [UInt32] = [0, 0, 0]
        var size = socklen_t(3 * MemoryLayout<UInt32>.stride)
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 else {
            throw Failure(operation: "read the peer's credentials")
        }
        // The kernel answers ERANGE with the size it needs; NGROUPS_MAX bounds the loop.
        var supplementary = [gid_t](repeating: 0, count: 64)
        while true {
            var bytes = socklen_t(supplementary.count * MemoryLayout<gid_t>.stride)
            if getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, &supplementary, &bytes) == 0 {
                supplementary.removeLast(supplementary.count - Int(bytes) / MemoryLayout<gid_t>.stride)
                break
            }
            guard errno == ERANGE else { throw Failure(operation: "read the peer's groups") }
            supplementary = .init(repeating: 0, count: Int(bytes) / MemoryLayout<gid_t>.stride)
        }
        self.init(
            pid: pid_t(bitPattern: credentials[0]), uid: credentials[1],
            groups: Set(supplementary).union([credentials[2]]))
    }
}
