// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit

/// Why a connection ended that should not have.
enum Trouble {
    /// And how.
    case broken(String)
    /// Another byte than was sent.
    case corrupted
}

/// A client's connection: the server says its name, and then back whatever it is sent. One request at a time.
final class Conversation {
    let number: Int
    let descriptor: Int32
    let began = now()
    /// Nil until it has said its name.
    private(set) var server: String?
    /// When it had.
    private(set) var greeted = 0
    /// When the last request that was answered was made.
    private(set) var answered = -1
    /// When the next one is due, for whoever wants several.
    var due = 0

    private let pattern: Pattern
    private var name: [UInt8] = []
    /// Places in the stream: what is asked for, what of it has gone, what has come back.
    private var asked = 0
    private var sent = 0
    private(set) var checked = 0
    private var lastAsked = 0
    private var lastHeard = now()

    init(_ number: Int, to endpoint: Endpoint, pattern: Pattern) throws {
        self.number = number
        self.pattern = pattern
        descriptor = try openSocket(endpoint.address.isIPv4 ? AF_INET : AF_INET6, SOCK_STREAM)
        try setOption(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        // What goes wrong shows when it is first polled.
        _ = endpoint.withSocketAddress { connect(descriptor, $0, $1) }
    }

    deinit { close(descriptor) }

    var isResting: Bool { server != nil && checked == asked }

    /// How long it has been waited for, in ms.
    var silence: Int { isResting ? 0 : now() - lastHeard }

    var events: Int16 { Int16(sent < asked ? POLLIN | POLLOUT : POLLIN) }

    /// A request of some 10 to 2,000 bytes. Only when it rests.
    func ask() {
        lastAsked = now()
        lastHeard = lastAsked
        asked += 10 + (number * 31 + asked) % (Pattern.longest - 10)
        send()
    }

    /// What has come, after poll(2) has told of it.
    func receive(_ events: Int16, into buffer: UnsafeMutableRawBufferPointer) -> Trouble? {
        if events & Int16(POLLOUT) != 0 { send() }
        guard events & ~Int16(POLLOUT) != 0 else { return nil }
        let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        guard count > 0 else {
            if count < 0, [EAGAIN, EINTR].contains(errno) { return nil }
            return .broken(count == 0 ? "closed" : String(cString: strerror(errno)))
        }
        lastHeard = now()
        var bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        if server == nil { bytes = greet(bytes) }
        while !bytes.isEmpty {
            let length = min(bytes.count, asked - checked, Pattern.longest)
            guard length > 0 else { return .corrupted }
            let same = pattern.withBytes(of: number, from: checked, count: length) {
                memcmp($0.baseAddress!, bytes.baseAddress!, length) == 0
            }
            guard same else { return .corrupted }
            checked += length
            bytes = UnsafeRawBufferPointer(rebasing: bytes[length...])
        }
        if server != nil, checked == asked, asked > 0 { answered = lastAsked }
        return nil
    }

    /// Takes the name off the front.
    private func greet(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
            name += bytes
            return UnsafeRawBufferPointer(rebasing: bytes[bytes.endIndex...])
        }
        server = String(decoding: name + bytes[..<end], as: UTF8.self)
        greeted = lastHeard
        return UnsafeRawBufferPointer(rebasing: bytes[(end + 1)...])
    }

    /// An error shows when it is next polled.
    private func send() {
        guard sent < asked else { return }
        let count = pattern.withBytes(of: number, from: sent, count: asked - sent) {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count > 0 { sent += count }
    }
}
