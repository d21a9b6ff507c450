// SPDX-License-Identifier: Apache-2.0

internal import CKernel
internal import Glibc

/// A group of sockets that a chain of Sluice filters, `socket-filter:NAME`, as a service joins it with sockets of its own.
///
/// ```swift
/// import SluiceSockets
///
/// let group = SocketGroup("dns")
/// try group.join([socket])
/// ```
///
/// A socket stays in the group until it is closed: through restarts of the manager, and through every upgrade of the
/// filter. The calls block, for ten seconds at most. docs/sockets.md has the wire, for other languages.
public struct SocketGroup: Sendable {
    /// Where the manager listens for sockets.
    public static let defaultPath = "/run/sluice/join.sock"

    /// Where the manager listens for sockets whose API is at another place than the usual one.
    package static func path(besideAPI api: String) -> String {
        api == "/run/sluice/sluiced.sock" ? defaultPath : api + ".join"
    }

    /// The most sockets that one call may pass, by the kernel's limit of a message.
    public static let most = Int(ck_most_descriptors)

    public let name: String
    public let path: String

    /// - Parameters:
    ///   - name: The group's, without `socket-filter:`.
    ///   - path: Of the manager's socket.
    public init(_ name: String, path: String = defaultPath) {
        self.name = name
        self.path = path
    }

    /// Brings sockets into the group: all of them or, if one cannot be, none. Those that are in it already stay.
    /// - Parameters:
    ///   - sockets: Descriptors of IPv4 or IPv6 sockets; they stay the caller's.
    ///   - replacing: Whether a filter that a socket has already may be replaced; without, that is an error.
    /// - Returns: How many were not in the group before.
    @discardableResult
    public func join(_ sockets: [Int32], replacing: Bool = false) throws(SocketGroupError) -> Int {
        try ask("join \(name)" + (replacing ? " replace" : ""), sockets)
    }

    /// Takes sockets out of the group, and the filter off them.
    /// - Returns: How many were in it.
    @discardableResult
    public func leave(_ sockets: [Int32]) throws(SocketGroupError) -> Int {
        try ask("leave \(name)", sockets)
    }

    private func ask(_ request: String, _ sockets: [Int32]) throws(SocketGroupError) -> Int {
        guard (1...Self.most).contains(sockets.count) else {
            throw SocketGroupError("\(request): a call takes 1 to \(Self.most) sockets, not \(sockets.count)")
        }
        let connection = Descriptor(try connect(during: request))
        guard ck_send_descriptors(connection.raw, request, request.utf8.count, sockets, Int32(sockets.count)) == 0
        else {
            throw SocketGroupError("\(request): cannot send to \(path)", errno: errno)
        }
        var answer = [UInt8](repeating: 0, count: 8192)
        let count = recv(connection.raw, &answer, answer.count, 0)
        guard count >= 0 else { throw SocketGroupError("\(request): no answer from \(path)", errno: errno) }
        let text = String(decoding: answer.prefix(count), as: UTF8.self)
        if text.hasPrefix("OK "), let count = Int(text.dropFirst(3)) { return count }
        throw SocketGroupError(
            text.hasPrefix("ERROR ") ? String(text.dropFirst(6)) : "\(request): \(path) gave no answer that makes sense"
        )
    }

    private func connect(during request: String) throws(SocketGroupError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SocketGroupError("\(request): the path \(path) is too long")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let raw = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard raw >= 0 else { throw SocketGroupError("\(request): cannot make a socket", errno: errno) }
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(raw, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        let result = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let why = errno
            close(raw)
            throw SocketGroupError(
                "\(request): cannot connect to \(path)"
                    + (why == EACCES ? "; it takes root or the group that the socket belongs to (sluice)" : ""),
                errno: why)
        }
        return raw
    }
}

/// Why sockets did not join a group, or leave it: nothing has changed then.
public struct SocketGroupError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What, on which object, why, and what to do.
    public var message: String

    package init(_ message: String) { self.message = message }

    package init(_ message: String, errno: Int32) { self.message = "\(message): \(String(cString: strerror(errno)))" }

    public var description: String { message }
}
