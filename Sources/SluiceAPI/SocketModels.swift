// SPDX-License-Identifier: Apache-2.0

/// The sockets of a group, as the kernel tells at one moment.
public struct SocketGroupReport: Codable, Sendable, Equatable {
    /// `socket-filter:dns`.
    public var hook: String
    public var sockets: [SocketMember]
    /// Sockets that a standing rule speaks of, and that could not be brought into the group, with why.
    public var missed: [String]

    public init(hook: String, sockets: [SocketMember], missed: [String] = []) {
        self.hook = hook
        self.sockets = sockets
        self.missed = missed
    }
}

/// One socket of a group.
public struct SocketMember: Codable, Sendable, Equatable {
    /// `udp`, `tcp`, or the number of another protocol.
    public var transport: String
    /// `0.0.0.0:53`, `[::]:53`.
    public var local: String
    public var state: SocketState
    /// When it joined, ISO 8601, UTC; of one that was accepted, when the listening one did.
    public var joined: String
    /// Whether a standing rule brought it.
    public var byRule: Bool
    /// The kernel's name of the socket for its whole life; of one that was accepted, that of the listening one.
    public var cookie: UInt64
    /// The socket's inode, as in `/proc/PID/fd`; 0 when no process holds it any more.
    public var inode: UInt64
    /// The inode of its network namespace, as in `/proc/PID/ns/net`.
    public var netns: UInt32
    /// A process that holds it; nil where that may not be seen.
    public var pid: Int32?
    /// That process's name.
    public var command: String?

    public init(
        transport: String, local: String, state: SocketState, joined: String, byRule: Bool, cookie: UInt64,
        inode: UInt64, netns: UInt32, pid: Int32? = nil, command: String? = nil
    ) {
        self.transport = transport
        self.local = local
        self.state = state
        self.joined = joined
        self.byRule = byRule
        self.cookie = cookie
        self.inode = inode
        self.netns = netns
        self.pid = pid
        self.command = command
    }
}

/// What a socket of a group does.
public enum SocketState: String, Codable, Sendable, CaseIterable {
    /// TCP: waits for connections.
    case listening
    /// UDP: takes datagrams of anybody. TCP: neither listens nor is connected.
    case open
    case connected
    /// TCP: a connection that came in through a listening socket of the group, and has the filter from it.
    case accepted
    /// No process holds it any more; the kernel ends the connection.
    case closing
}
