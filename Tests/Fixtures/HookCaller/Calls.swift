// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// Something that a hook is asked about.
protocol Call {
    /// - Parameter number: of the call.
    func once(_ number: UInt64) throws -> Outcome
}

/// Packets through a wire, a cgroup's sockets or a socket's filter: each is sent, and taken in.
struct Datagrams: Call {
    let senders: [Socket]
    let receiver: Socket
    let wait: Int32

    func once(_ number: UInt64) throws -> Outcome {
        var number = number
        let sender = senders[Int(number % UInt64(senders.count))]
        guard send(sender.descriptor, &number, 8, 0) == 8 else {
            guard errno == EPERM else { throw CallError("send a datagram") }
            return .refused
        }
        return taken(number, by: receiver, within: wait)
    }
}

/// Waits for a numbered datagram; one that was given up comes late.
private func taken(_ number: UInt64, by receiver: Socket, within wait: Int32) -> Outcome {
    while let received = receiver.receive(within: wait) {
        if received == number { return .passed }
        if received > number { return .wrong }
    }
    return .lost
}

/// Connects of one UDP socket, which send nothing.
struct Connects: Call {
    let socket: Socket
    let address: Address

    func once(_ number: UInt64) throws -> Outcome {
        guard address.with({ connect(socket.descriptor, $0, $1) }) == 0 else {
            guard errno == EPERM else { throw CallError("connect") }
            return .refused
        }
        return socket.port(ofPeer: true) == address.port ? .passed : .wrong
    }
}

/// Datagrams of a socket that is not connected.
struct Messages: Call {
    let sender: Socket
    let receiver: Socket
    let address: Address
    let wait: Int32

    func once(_ number: UInt64) throws -> Outcome {
        var number = number
        guard address.with({ sendto(sender.descriptor, &number, 8, 0, $0, $1) }) == 8 else {
            guard errno == EPERM else { throw CallError("send a message") }
            return .refused
        }
        return taken(number, by: receiver, within: wait)
    }
}

struct Binds: Call {
    let address: Address

    func once(_ number: UInt64) throws -> Outcome {
        let socket = try Socket(address.family, SOCK_DGRAM)
        // Whoever looks into this process may hold the socket before for a moment more.
        socket.sharesItsPort()
        guard address.with({ bind(socket.descriptor, $0, $1) }) == 0 else {
            guard errno == EPERM else { throw CallError("bind") }
            return .refused
        }
        return socket.port(ofPeer: false) == address.port ? .passed : .wrong
    }
}

/// New sockets, which nobody marks.
struct Creations: Call {
    let type: __socket_type

    func once(_ number: UInt64) throws -> Outcome {
        let new = socket(AF_INET, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard new >= 0 else {
            guard errno == EPERM else { throw CallError("make a socket") }
            return .refused
        }
        defer { close(new) }
        var mark: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(new, SOL_SOCKET, SO_MARK, &mark, &length)
        return mark == 0 ? .passed : .wrong
    }
}

/// TCP connections to a listener of our own. Whether a program's answer is taken is told by their having ECN, which this end
/// does not ask for by itself (`net.ipv4.tcp_ecn` is 2).
struct Connections: Call {
    let listener: Socket
    let address: Address

    func once(_ number: UInt64) throws -> Outcome {
        let client = try Socket(address.family, SOCK_STREAM)
        try client.connect(address)
        let server = try listener.accept()
        defer { for end in [client, server] { Self.reset(end) } }
        var info = [UInt8](repeating: 0, count: 104)
        var length = socklen_t(info.count)
        // struct tcp_info: tcpi_options is the sixth byte, and TCPI_OPT_ECN is 8.
        guard getsockopt(client.descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length) == 0 else {
            throw CallError("look at a connection")
        }
        return info[5] & 8 != 0 ? .passed : .refused
    }

    /// Ended at once: no port is kept waiting.
    private static func reset(_ socket: Socket) {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket.descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    }
}
