// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import StageKit

/// The server: says its name to whoever connects, and then back what it is sent.
struct Serve: ParsableCommand {
    @Option(help: "What it calls itself.") var name: String
    @Option(help: "Of all addresses; may be given several times.") var port: [UInt16]

    func run() throws {
        var echo = Echo(name: Array("\(name)\n".utf8), listeners: try port.map(listener))
        while true { echo.turn() }
    }

    private func listener(_ port: UInt16) throws -> Int32 {
        let descriptor = try openSocket(AF_INET6, SOCK_STREAM)
        try setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        try setOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0)
        let any = Endpoint(address: "::", port: port)
        guard any.withSocketAddress({ bind(descriptor, $0, $1) }) == 0, listen(descriptor, 65_535) == 0 else {
            throw TrafficError("listen on port \(port)", errno: errno)
        }
        return descriptor
    }
}

private struct Echo {
    let name: [UInt8]
    /// The listeners, then the connections.
    private var polls: [pollfd]
    private let listeners: Int
    /// What a connection has not taken yet, beside `polls`.
    private var unsent: [ArraySlice<UInt8>]
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    init(name: [UInt8], listeners: [Int32]) {
        self.name = name
        self.listeners = listeners.count
        polls = listeners.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        unsent = listeners.map { _ in [] }
    }

    mutating func turn() {
        wait(for: &polls, at: -1)
        // From the end, since whoever leaves has the last one take its place.
        for index in polls.indices.reversed() where polls[index].revents != 0 {
            if index < listeners {
                accept(at: index)
            } else if !serve(at: index) {
                close(polls[index].fd)
                polls.swapAt(index, polls.count - 1)
                unsent.swapAt(index, unsent.count - 1)
                polls.removeLast()
                unsent.removeLast()
            }
        }
    }

    private mutating func accept(at index: Int) {
        while true {
            let descriptor = Glibc.accept(polls[index].fd, nil, nil)
            guard descriptor >= 0 else { return }
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            try? setOption(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
            polls.append(pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0))
            unsent.append(name[...])
        }
    }

    /// Whether it goes on.
    private mutating func serve(at index: Int) -> Bool {
        let descriptor = polls[index].fd
        if unsent[index].isEmpty {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return count < 0 && [EAGAIN, EINTR].contains(errno) }
            unsent[index] = buffer[..<count]
        }
        let count = unsent[index].withUnsafeBytes {
            send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard count >= 0 || [EAGAIN, EINTR].contains(errno) else { return false }
        unsent[index] = unsent[index].dropFirst(max(count, 0))
        polls[index].events = Int16(unsent[index].isEmpty ? POLLIN : POLLOUT)
        return true
    }
}
