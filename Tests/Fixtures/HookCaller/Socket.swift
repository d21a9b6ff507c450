// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Glibc

/// An address and a port, of IPv4 or IPv6.
struct Address {
    let family: Int32
    let port: UInt16
    private var storage = sockaddr_storage()
    private let length: socklen_t

    init(_ text: String, _ port: UInt16) {
        self.port = port
        if text.contains(":") {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            inet_pton(AF_INET6, text, &address.sin6_addr)
            (family, length) = (AF_INET6, socklen_t(MemoryLayout.size(ofValue: address)))
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: address, as: sockaddr_in6.self) }
        } else {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            inet_pton(AF_INET, text, &address.sin_addr)
            (family, length) = (AF_INET, socklen_t(MemoryLayout.size(ofValue: address)))
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: address, as: sockaddr_in.self) }
        }
    }

    func with<T>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> T) -> T {
        withUnsafeBytes(of: storage) { body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), length) }
    }
}

/// A socket that is closed when it goes.
final class Socket {
    let descriptor: Int32

    init(_ family: Int32, _ type: __socket_type) throws {
        descriptor = socket(family, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw CallError("make a socket") }
    }

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    func bind(_ address: Address) throws {
        sharesItsPort()
        guard address.with({ Glibc.bind(descriptor, $0, $1) }) == 0 else { throw CallError("bind to \(address.port)") }
    }

    func sharesItsPort() {
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    }

    func connect(_ address: Address) throws {
        guard address.with({ Glibc.connect(descriptor, $0, $1) }) == 0 else {
            throw CallError("connect to \(address.port)")
        }
    }

    func listen() throws {
        guard Glibc.listen(descriptor, 16) == 0 else { throw CallError("listen") }
    }

    func accept() throws -> Socket {
        let accepted = Glibc.accept(descriptor, nil, nil)
        guard accepted >= 0 else { throw CallError("accept a connection") }
        return Socket(accepted)
    }

    /// Sets a pinned program as the socket's filter (`SO_ATTACH_BPF`).
    func filter(by pin: String) throws {
        let program = try BPFProgram.pinned(at: pin)
        var raw = program.fd.raw
        guard setsockopt(descriptor, SOL_SOCKET, 50, &raw, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw CallError("filter a socket by \(pin)")
        }
    }

    /// The number of the next datagram; nil when none comes within so many milliseconds.
    func receive(within milliseconds: Int32) -> UInt64? {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, milliseconds) > 0 else { return nil }
        var number: UInt64 = 0
        return recv(descriptor, &number, 8, 0) == 8 ? number : nil
    }

    /// The local or the peer's port.
    func port(ofPeer: Bool) -> UInt16 {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { raw in
            let pointer = raw.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            _ = ofPeer ? getpeername(descriptor, pointer, &length) : getsockname(descriptor, pointer, &length)
            // Of both families behind the family.
            return raw.loadUnaligned(fromByteOffset: 2, as: UInt16.self).bigEndian
        }
    }
}
