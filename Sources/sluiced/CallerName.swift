// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOPosix
import SluiceAPI

extension Caller {
    /// The peer with its user's name. The look-up may ask a directory service, so it has a thread of its own.
    init(_ peer: Peer) async {
        let name = try? await NIOThreadPool.singleton.runIfActive { Self.userName(peer.uid) }
        self.init(
            uid: peer.uid, pid: peer.pid,
            name: name.flatMap { $0 }.map { "\($0) (uid \(peer.uid))" } ?? "uid \(peer.uid)")
    }

    private static func userName(_ uid: uid_t) -> String? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16 << 10)
        guard getpwuid_r(uid, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        return String(cString: entry.pw_name)
    }
}
