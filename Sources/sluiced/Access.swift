// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What a peer may do.
enum Access: Int, Comparable, Sendable {
    case none
    case view
    case change

    static func < (left: Access, right: Access) -> Bool { left.rawValue < right.rawValue }
}

/// Who may do what: root and the group `sluice` change, the group `sluice-view` reads, nobody else does anything.
///
/// This, not the socket's mode, is the gate. The mode has to let both groups in, and a file has one group; so it lets
/// everybody connect, and who may not gets told so, by name of the group that is missing, before his request is looked
/// at.
struct AccessPolicy: Sendable {
    /// The gid of the group `sluice`; nil when there is no such group.
    var change: gid_t?
    /// The gid of the group `sluice-view`; nil when there is no such group.
    var view: gid_t?

    /// The policy with the groups as the system knows them now.
    static func current() -> AccessPolicy {
        AccessPolicy(change: gid(of: "sluice"), view: gid(of: "sluice-view"))
    }

    func access(of peer: Peer) -> Access {
        if peer.uid == 0 { return .change }
        if let change, peer.groups.contains(change) { return .change }
        if let view, peer.groups.contains(view) { return .view }
        return .none
    }

    private static func gid(of group: String) -> gid_t? {
        getgrnam(group)?.pointee.gr_gid
    }
}
