// SPDX-License-Identifier: Apache-2.0

import BPF
import CKernel
import Foundation
import Glibc
import SluiceAPI
import StageKit
import StageTesting

@testable import SluiceCore

/// A chain of the tc-egress stage on `edge0`, from which all goes to the client.
struct EgressSite {
    static let hook = "tc-egress:edge0"
    static let edge6 = "fd00:9::1"
    static let client6 = "fd00:9::2"
    let site: Site
    let mode: String?

    /// - Parameter mode: how it is attached; nil for what the kernel has.
    init(_ lab: Lab, mode: String? = nil) throws {
        site = try Site(lab, plugins: ["tc-egress-1_0"])
        self.mode = mode
        try site.start()
    }

    var lab: Lab { site.lab }

    static func spec(_ config: String, mode: String? = nil, more: String = "") -> String {
        """
        chains:
          - hook: \(hook)
        \(mode.map { "    mode: \($0)\n" } ?? "")    stages:
              - name: egress
                plugin: tc-egress
                config: {\(config)}
        \(more)
        """
    }

    @discardableResult
    func apply(_ config: String, more: String = "") throws -> String {
        try site.apply(Self.spec(config, mode: mode, more: more))
    }

    /// What `ip -s link` says has been sent.
    func sent() throws -> (packets: UInt64, bytes: UInt64) {
        struct Link: Decodable {
            struct Counts: Decodable { var bytes, packets: UInt64 }
            struct Statistics: Decodable { var tx: Counts }
            var stats64: Statistics
        }
        let links: [Link] = try site.decode(lab.check(["ip", "-s", "-j", "link", "show", "edge0"]))
        return (links[0].stats64.tx.packets, links[0].stats64.tx.bytes)
    }

    /// One table of a stage, by its rows.
    func table(_ name: String, of stage: String = "egress") throws -> [String: [String: UInt64]] {
        let stats: ChainStats = try site.decode(site.must("stats", Self.hook, "-o", "json"))
        guard let table = stats.stages.first(where: { $0.name == stage })?.tables.first(where: { $0.name == name })
        else {
            throw LabError("no table \(name)")
        }
        return Dictionary(
            uniqueKeysWithValues: table.rows.map { row in
                let values = row.values.map { if case .count(let count) = $0 { count } else { 0 as UInt64 } }
                return (row.label, Dictionary(uniqueKeysWithValues: zip(table.columns, values)))
            })
    }

    /// What the stage has let go on of a class, by its number, at this very moment.
    func bytes(of row: UInt32) throws -> UInt64 {
        let directory = HookDirectory(try HookID(parsing: Self.hook), in: site.bpffs)
        let live = try directory.live()!
        return try BPFMap.pinned(at: directory.generation(live).map(1, "class_counters")).counters(at: row)![1]
    }

    /// What the stage has let go on, in all rows.
    func passed() throws -> (packets: UInt64, bytes: UInt64) {
        let rows = try table("classes").values
        return (rows.reduce(0) { $0 + $1["packets"]! }, rows.reduce(0) { $0 + $1["bytes"]! })
    }

    struct Accounts: Equatable {
        var packets: UInt64
        var bytes: UInt64

        static func - (now: Accounts, before: Accounts) -> Accounts {
            Accounts(packets: now.packets - before.packets, bytes: now.bytes - before.bytes)
        }
    }

    /// What has been sent and what has been counted, at a moment at which nothing is on its way. The interface's own
    /// packets, as of multicast listeners, come when they will: so it takes two such moments to compare.
    func accounts() throws -> (sent: Accounts, passed: Accounts) {
        var found: (sent: (packets: UInt64, bytes: UInt64), passed: (packets: UInt64, bytes: UInt64)) = ((0, 0), (0, 0))
        try lab.until("nothing is sent any more") {
            let before = try sent()
            Thread.sleep(forTimeInterval: 0.1)
            found = (try sent(), try passed())
            return try found.sent == before && sent() == before
        }
        return (
            Accounts(packets: found.sent.packets, bytes: found.sent.bytes),
            Accounts(packets: found.passed.packets, bytes: found.passed.bytes)
        )
    }

    /// What has been sent since, and what has been counted.
    func accounts(
        since before: (sent: Accounts, passed: Accounts)
    ) throws -> (sent: Accounts, passed: Accounts) {
        let now = try accounts()
        return (now.sent - before.sent, now.passed - before.passed)
    }
}

/// A TCP connection from the edge to the client, and what it carries.
final class Stream: @unchecked Sendable {
    private let sender: Int32
    private let receiver: Int32
    private let listener: Int32
    private(set) var received = 0

    init(_ lab: Lab, to address: String, port: UInt16) throws {
        listener = try lab.inNamespace("client") {
            let listener = try Self.check(
                socket(address.contains(":") ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0), "socket")
            var yes: Int32 = 1
            setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, 4)
            _ = try withAddress(address, port) { try Self.check(bind(listener, $0, $1), "bind") }
            _ = try Self.check(listen(listener, 4), "listen")
            return listener
        }
        sender = try Self.check(
            socket(address.contains(":") ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0), "socket")
        let sender = sender
        _ = try withAddress(address, port) { try Self.check(connect(sender, $0, $1), "connect") }
        receiver = try Self.check(accept(listener, nil, nil), "accept")
    }

    deinit { for descriptor in [sender, receiver, listener] { close(descriptor) } }

    private static func check(_ result: Int32, _ what: String) throws -> Int32 {
        guard result >= 0 else { throw LabError("\(what): \(String(cString: strerror(errno)))") }
        return result
    }

    /// Sends so many bytes, and waits until they have arrived.
    func carry(_ count: Int) {
        let reader = Thread { [self] in
            var buffer = [UInt8](repeating: 0, count: 1 << 18)
            while received < count {
                let got = recv(receiver, &buffer, buffer.count, 0)
                if got <= 0 { break }
                received += got
            }
            done.signal()
        }
        reader.start()
        let chunk = [UInt8](repeating: 7, count: 1 << 18)
        var left = count
        while left > 0 {
            let sent = send(sender, chunk, min(left, chunk.count), Int32(MSG_NOSIGNAL))
            if sent <= 0 { break }
            left -= sent
        }
        _ = done.wait(timeout: .now() + 120)
    }

    private let done = DispatchSemaphore(value: 0)
}

func withAddress<Result>(
    _ address: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
) rethrows -> Result {
    if address.contains(":") {
        var socket = sockaddr_in6()
        socket.sin6_family = sa_family_t(AF_INET6)
        socket.sin6_port = port.bigEndian
        inet_pton(AF_INET6, address, &socket.sin6_addr)
        return try withUnsafePointer(to: &socket) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
    }
    var socket = sockaddr_in()
    socket.sin_family = sa_family_t(AF_INET)
    socket.sin_port = port.bigEndian
    inet_pton(AF_INET, address, &socket.sin_addr)
    return try withUnsafePointer(to: &socket) { pointer in
        try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            try body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}

/// A packet socket: sees what an interface gets, and sends what no IP stack would.
final class Wire {
    private let descriptor: Int32

    init(_ lab: Lab, _ interface: String, netns: String? = nil) throws {
        descriptor = try lab.inNamespace(netns) {
            // ETH_P_ALL.
            let descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue), Int32(UInt16(3).bigEndian))
            var address = sockaddr_ll()
            address.sll_family = UInt16(AF_PACKET)
            address.sll_protocol = UInt16(3).bigEndian
            address.sll_ifindex = Int32(if_nametoindex(interface))
            let result = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_ll>.size))
                }
            }
            guard descriptor >= 0, result == 0 else { throw LabError("open a packet socket: \(errno)") }
            var room: Int32 = 16 << 20
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &room, 4)
            return descriptor
        }
    }

    deinit { close(descriptor) }

    /// False when the kernel had no room, or a program dropped it.
    @discardableResult
    func send(_ frame: [UInt8]) -> Bool { Glibc.send(descriptor, frame, frame.count, 0) == frame.count }

    /// All frames that have come in so far; those that this machine sends are left out.
    func frames() -> [[UInt8]] {
        var frames: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        while true {
            var from = sockaddr_ll()
            var length = socklen_t(MemoryLayout<sockaddr_ll>.size)
            let count = withUnsafeMutablePointer(to: &from) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT), $0, &length)
                }
            }
            guard count >= 0 else { return frames }
            // PACKET_OUTGOING.
            if from.sll_pkttype != 4 { frames.append(Array(buffer.prefix(count))) }
        }
    }
}
