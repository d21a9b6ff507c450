// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A UDP socket of the thread's network namespace. Its calls block: for threads of our own only.
struct DatagramSocket: ~Copyable {
    private let descriptor: Int32

    /// - Parameters:
    ///   - local: an address to bind to, with `port`; nil leaves both to the kernel.
    ///   - peer: an address to send to, with `port`; nil for a receiver.
    init(local: String? = nil, localPort: UInt16 = 0, peer: String? = nil, peerPort: UInt16 = 0) throws {
        let family = (peer ?? local ?? "").contains(":") ? AF_INET6 : AF_INET
        descriptor = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LabError("open a UDP socket", errno: errno) }
        if let local {
            try withSocketAddress(local, localPort) { address, length in
                guard bind(descriptor, address, length) == 0 else {
                    throw LabError("bind UDP to \(local) port \(localPort)", errno: errno)
                }
            }
        }
        if let peer {
            try withSocketAddress(peer, peerPort) { address, length in
                guard connect(descriptor, address, length) == 0 else {
                    throw LabError("connect UDP to \(peer) port \(peerPort)", errno: errno)
                }
            }
        }
        // Room for what arrives while the receiver's thread has to wait for a processor.
        var room: Int32 = 64 << 20
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &room, socklen_t(MemoryLayout<Int32>.size))
        var patience = timeval(tv_sec: 0, tv_usec: 50_000)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Sends one datagram; false when the kernel had no room for it or nobody listens (yet).
    func send(_ bytes: borrowing [UInt8]) throws -> Bool {
        let count = Glibc.send(descriptor, bytes, bytes.count, 0)
        if count == bytes.count { return true }
        guard [ENOBUFS, EAGAIN, ECONNREFUSED, EINTR].contains(errno) else {
            throw LabError("send a datagram", errno: errno)
        }
        return false
    }

    /// Waits for a datagram for 50 ms; its length, cut to the buffer's, or nil when none came.
    func receive(into buffer: inout [UInt8]) throws -> Int? {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count >= 0 { return count }
        guard [EAGAIN, EINTR].contains(errno) else { throw LabError("receive a datagram", errno: errno) }
        return nil
    }
}
