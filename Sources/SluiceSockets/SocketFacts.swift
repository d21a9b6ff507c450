// SPDX-License-Identifier: Apache-2.0

internal import CKernel
internal import Glibc

/// What a socket is, as the kernel tells whoever holds a descriptor of it.
package struct SocketFacts: Sendable {
    /// The kernel's name for the socket, one for its whole life, in whatever process (`SO_COOKIE`).
    package let cookie: UInt64
    package let inode: UInt64
    /// Nil for what is neither IPv4 nor IPv6.
    package let isIPv6: Bool?
    /// Nil for neither UDP nor TCP, such as a raw socket.
    package let transport: SocketProtocol?
    package let local: SocketAddress?
    package let remote: SocketAddress?
    package let isListening: Bool

    /// Nil for a descriptor that is no socket.
    package init?(of descriptor: Int32) {
        guard let cookie: UInt64 = option(SO_COOKIE, of: descriptor, zero: 0),
            let family: Int32 = option(SO_DOMAIN, of: descriptor, zero: 0),
            let type: Int32 = option(SO_PROTOCOL, of: descriptor, zero: 0)
        else { return nil }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { return nil }
        self.cookie = cookie
        inode = UInt64(info.st_ino)
        isIPv6 = family == AF_INET ? false : family == AF_INET6 ? true : nil
        transport = isIPv6 == nil ? nil : SocketProtocol(number: type)
        isListening = option(SO_ACCEPTCONN, of: descriptor, zero: Int32(0)) == 1
        func address(_ function: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32)
            -> SocketAddress?
        {
            var storage = sockaddr_storage()
            var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let result = withUnsafeMutablePointer(to: &storage) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { function(descriptor, $0, &size) }
            }
            return result == 0 ? SocketAddress(storage) : nil
        }
        local = address { getsockname($0, $1, $2) }
        remote = address { getpeername($0, $1, $2) }
    }

    /// `0.0.0.0:53/udp`; of what has no such address, what it is instead.
    package var title: String {
        guard let local else { return "a socket that is neither IPv4 nor IPv6" }
        guard let transport else { return "\(local) (neither UDP nor TCP)" }
        let whose = remote.map { " connected to \($0)" } ?? ""
        return "\(local)/\(transport.rawValue)\(whose)"
    }
}

/// The filter that a socket has.
package enum SocketFilterState: Sendable, Equatable {
    case none
    /// Of so many instructions (`SO_ATTACH_FILTER`).
    case classic(Int)
    /// The kernel tells no more of it.
    case eBPF

    /// - Throws: `errno` when the descriptor is none of a socket.
    package init(of descriptor: Int32) throws(SocketGroupError) {
        var size: socklen_t = 0
        if getsockopt(descriptor, SOL_SOCKET, SO_GET_FILTER, nil, &size) == 0 {
            self = size == 0 ? .none : .classic(Int(size))
        } else if errno == EACCES {
            self = .eBPF
        } else {
            throw SocketGroupError("read a socket's filter", errno: errno)
        }
    }

    /// Whether whoever attached it forbade all change (`SO_LOCK_FILTER`).
    package static func isLocked(_ descriptor: Int32) -> Bool {
        option(SO_LOCK_FILTER, of: descriptor, zero: Int32(0)) == 1
    }
}

/// A socket option of a fixed size; nil when it cannot be read.
private func option<Value: BitwiseCopyable>(_ name: Int32, of descriptor: Int32, zero: Value) -> Value? {
    var value = zero
    var size = socklen_t(MemoryLayout<Value>.size)
    return getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 ? value : nil
}
