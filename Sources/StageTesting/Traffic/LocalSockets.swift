// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Sockets of a server, and of its clients, between addresses that are all the lab's own: what a stage that looks for
/// sockets finds. Made in the thread's network namespace; closed when this goes.
public final class LocalSockets {
    private var descriptors: [Int32] = []

    public init() {}

    deinit {
        for descriptor in descriptors { close(descriptor) }
    }

    /// A TCP socket that listens.
    public func listen(_ address: String, port: UInt16) throws {
        let listener = try open(SOCK_STREAM, address)
        var yes: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        try bind(listener, address, port)
        guard Glibc.listen(listener, 16) == 0 else { throw LabError("listen on \(address) port \(port)", errno: errno) }
    }

    /// A TCP connection from an address of the lab to one that ``listen(_:port:)`` was called for.
    /// - Returns: The client's port.
    public func connect(from source: String, to address: String, port: UInt16) throws -> UInt16 {
        let client = try open(SOCK_STREAM, address)
        try bind(client, source, 0)
        try connect(client, address, port)
        return try Self.port(of: client)
    }

    /// A server's UDP socket, connected to a client's address and port if there is one.
    public func bindUDP(_ address: String, port: UInt16, peer: (address: String, port: UInt16)? = nil) throws {
        let server = try open(SOCK_DGRAM, address)
        var yes: Int32 = 1
        setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        try bind(server, address, port)
        if let peer { try connect(server, peer.address, peer.port) }
    }

    /// Sends a TCP segment, ports and checksum in it, from an address of the lab that knows nothing of it, and gives the
    /// segment that comes back.
    public func answer(to segment: [UInt8], from source: String, to destination: String) throws -> [UInt8] {
        let raw = try open(SOCK_RAW, source, protocol: Int32(IPPROTO_TCP))
        try bind(raw, source, 0)
        var patience = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        try withSocketAddress(destination, 0) { address, length in
            guard sendto(raw, segment, segment.count, 0, address, length) == segment.count else {
                throw LabError("send a segment to \(destination)", errno: errno)
            }
        }
        var buffer = [UInt8](repeating: 0, count: 2048)
        while true {
            let count = recv(raw, &buffer, buffer.count, 0)
            guard count > 0 else { throw LabError("receive the answer of \(destination)", errno: errno) }
            // Of IPv4 the header comes along.
            let header = source.contains(":") ? 0 : Int(buffer[0] & 15) * 4
            let answer = Array(buffer[..<count].dropFirst(header))
            if answer.count >= 20, answer[0..<2] == segment[2..<4], answer[2..<4] == segment[0..<2] { return answer }
        }
    }

    private func open(_ type: __socket_type, _ address: String, protocol number: Int32 = 0) throws -> Int32 {
        let descriptor = socket(
            address.contains(":") ? AF_INET6 : AF_INET, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), number)
        guard descriptor >= 0 else { throw LabError("open a socket", errno: errno) }
        descriptors.append(descriptor)
        return descriptor
    }

    private func bind(_ descriptor: Int32, _ address: String, _ port: UInt16) throws {
        try withSocketAddress(address, port) { raw, length in
            guard Glibc.bind(descriptor, raw, length) == 0 else {
                throw LabError("bind to \(address) port \(port)", errno: errno)
            }
        }
    }

    private func connect(_ descriptor: Int32, _ address: String, _ port: UInt16) throws {
        try withSocketAddress(address, port) { raw, length in
            guard Glibc.connect(descriptor, raw, length) == 0 else {
                throw LabError("connect to \(address) port \(port)", errno: errno)
            }
        }
    }

    private static func port(of descriptor: Int32) throws -> UInt16 {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return try withUnsafeMutableBytes(of: &address) { raw in
            let pointer = raw.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            guard getsockname(descriptor, pointer, &length) == 0 else {
                throw LabError("read a socket's port", errno: errno)
            }
            // Of both families behind the family.
            return raw.loadUnaligned(fromByteOffset: 2, as: UInt16.self).bigEndian
        }
    }
}

/// A socket address of either family.
func withSocketAddress(
    _ text: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void
) throws {
    func with<T>(_ address: inout T) throws {
        try withUnsafeBytes(of: &address) { raw in
            try body(raw.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
        }
    }
    if text.contains(":") {
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        guard inet_pton(AF_INET6, text, &address.sin6_addr) == 1 else { throw LabError("no address: '\(text)'") }
        try with(&address)
    } else {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        guard inet_pton(AF_INET, text, &address.sin_addr) == 1 else { throw LabError("no address: '\(text)'") }
        try with(&address)
    }
}
