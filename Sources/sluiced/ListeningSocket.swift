// SPDX-License-Identifier: Apache-2.0

import CSystemd
import Glibc

/// A Unix socket that the daemon listens on: systemd's, or one of our own.
struct ListeningSocket: Sendable {
    /// What comes through it.
    enum Purpose: CaseIterable {
        /// The API: HTTP, a stream.
        case api
        /// Sockets that join groups: messages.
        case join

        fileprivate var type: __socket_type { self == .api ? SOCK_STREAM : SOCK_SEQPACKET }
        /// Of our own sockets. To the API everybody may connect: AccessPolicy says why.
        fileprivate var mode: mode_t { self == .api ? 0o666 : 0o660 }
    }

    /// Bound and listening, non-blocking, close-on-exec. Whoever serves it closes it.
    var descriptor: CInt
    var path: String
    /// Whether systemd passed it: then it outlives us, and a connection that comes after our exit starts us again.
    var isActivated: Bool

    /// The socket systemd passed, if it passed one; else a new one at `path`.
    static func open(path: String) throws(Failure) -> ListeningSocket {
        if let passed = try fromSystemd(.api) { return passed }
        return try bind(path: path, .api)
    }

    /// The socket for joining, likewise. Nil when systemd has passed that of the API only.
    static func openForJoining(path: String, beside api: ListeningSocket) throws(Failure) -> ListeningSocket? {
        if api.isActivated { return try fromSystemd(.join) }
        return try bind(path: path, .join)
    }

    /// Removes what `bind` made; systemd's socket stays.
    func remove() {
        if !isActivated { unlink(path) }
    }

    private static func fromSystemd(_ purpose: Purpose) throws(Failure) -> ListeningSocket? {
        // Asked for twice: what comes last leaves nothing of it to our children.
        let count = sd_listen_fds(purpose == .join ? 1 : 0)
        if count == 0 { return nil }
        // From SD_LISTEN_FDS_START on, a macro with a cast.
        let passed = 3..<3 + max(count, 0)
        func all(_ purpose: Purpose) -> [CInt] {
            passed.filter { sd_is_socket_unix($0, CInt(purpose.type.rawValue), 1, nil, 0) > 0 }
        }
        guard all(.api).count == 1, all(.join).count == count - 1, count <= 2 else {
            throw Failure(
                "systemd passed \(count) descriptor(s), want one listening Unix stream socket, and at most one of type "
                    + "SEQPACKET; see sluiced.socket and sluiced-join.socket")
        }
        guard let first = all(purpose).first else { return nil }
        let flags = fcntl(first, F_GETFL)
        guard flags >= 0, fcntl(first, F_SETFL, flags | O_NONBLOCK) == 0 else {
            throw Failure(operation: "make systemd's socket non-blocking")
        }
        var address = sockaddr_un()
        var size = socklen_t(MemoryLayout<sockaddr_un>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(first, $0, &size) }
        }
        let path = withUnsafeBytes(of: address.sun_path) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return ListeningSocket(descriptor: first, path: path, isActivated: true)
    }

    private static func bind(path: String, _ purpose: Purpose) throws(Failure) -> ListeningSocket {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !path.isEmpty, path.utf8.count < room else {
            throw Failure("listen on \"\(path)\": a socket's path has 1 to \(room - 1) bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }

        let descriptor = socket(AF_UNIX, type(purpose), 0)
        guard descriptor >= 0 else { throw Failure(operation: "create a socket") }
        do throws(Failure) {
            try removeStale(path, address, purpose)
            guard call(Glibc.bind, descriptor, address) == 0 else {
                throw Failure(operation: "listen on \"\(path)\"")
            }
            if purpose == .join, let group = getgrnam("sluice") { chown(path, uid_t.max, group.pointee.gr_gid) }
            guard chmod(path, purpose.mode) == 0, listen(descriptor, SOMAXCONN) == 0 else {
                throw Failure(operation: "listen on \"\(path)\"")
            }
        } catch {
            close(descriptor)
            throw error
        }
        return ListeningSocket(descriptor: descriptor, path: path, isActivated: false)
    }

    /// A socket file that nobody listens on is what a killed daemon left; anything else stays.
    private static func removeStale(_ path: String, _ address: sockaddr_un, _ purpose: Purpose) throws(Failure) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw Failure("listen on \"\(path)\": something that is not a socket is there already; remove it")
        }
        let probe = socket(AF_UNIX, type(purpose), 0)
        defer { close(probe) }
        // EAGAIN: somebody listens, with a full backlog.
        guard call(connect, probe, address) != 0, errno == ECONNREFUSED else {
            throw Failure(
                "listen on \"\(path)\": another sluiced listens there already; stop it or pass another --socket")
        }
        unlink(path)
    }

    private static func type(_ purpose: Purpose) -> CInt {
        CInt(purpose.type.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
    }

    private static func call(
        _ function: (CInt, UnsafePointer<sockaddr>, socklen_t) -> CInt, _ descriptor: CInt, _ address: sockaddr_un
    ) -> CInt {
        withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                function(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
