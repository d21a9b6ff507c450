// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import SluiceAPI
import StageKit
import StageTesting

/// A director whose servers are addresses of the client's namespace: what is encapsulated goes back there, where sockets
/// of the tunnel's port show which server a packet was for.
struct LoadBalancerSite {
    static let vip = "198.51.100.10"
    static let servers = ["edge1": "10.9.0.11", "edge2": "10.9.0.12", "edge3": "10.9.0.13"]

    let site: Site

    init(_ lab: Lab, spec: String = Self.spec()) throws {
        site = try Site(lab, plugins: ["l4lb-1_0", "l4lb-1_1"])
        // A veth takes frames that XDP sends where its other end has a program too.
        let object = BuildProducts.object("noop", of: "noop")
        try lab.check(
            ["ip", "link", "set", "dev", "client0", "xdpdrv", "object", object, "section", "xdp"], netns: "client")
        try lab.ip(
            Self.servers.values.map { "addr add \($0)/32 dev client0" } + [
                "route add \(Self.vip)/32 via \(Site.edge) dev client0"
            ], netns: "client")
        try lab.ip(
            Self.servers.values.map { "neigh replace \($0) lladdr 02:00:00:00:00:02 dev edge0 nud permanent" })
        try site.start()
        try site.apply(spec)
    }

    /// - Parameter version: Nil for the newest.
    static func spec(version: String? = nil, check: String = "", more: String = "") -> String {
        """
        chains:
          - hook: xdp:edge0
            stages:
              - name: lb
                plugin: l4lb\(version.map { "\n        version: \"\($0)\"" } ?? "")
                config:
                  director: { source-v4: \(Site.edge), route: back }
                  servers:
                    - { name: edge1, id: 1, address: \(servers["edge1"]!) }
                    - { name: edge2, id: 2, address: \(servers["edge2"]!) }
                    - { name: edge3, id: 3, address: \(servers["edge3"]!) }
                  pools:
                    - { name: web, servers: [edge1, edge2, edge3], entries: 1024\(check) }
                  services:
                    - { name: http, vip: \(vip), protocol: tcp, port: 80, pool: web }
                    - { name: dns, vip: \(vip), protocol: udp, port: 53, pool: web }
        \(more)
        """
    }

    /// Sends the first packet of a connection from a port of the client; the server it was sent to, and the numbers of
    /// those it names besides.
    func way(from port: UInt16) throws -> (server: String, hops: [Int]) {
        try site.lab.inNamespace("client") {
            let sockets = try Self.servers.mapValues { try TunnelSocket(on: $0) }
            try TCPAttempt.connect(from: (Site.client, port), to: (Self.vip, 80))
            for _ in 0..<100 {
                for (name, socket) in sockets {
                    guard let payload = socket.receive() else { continue }
                    let hops = (0..<3).map { Int(payload[6 + $0 * 2]) << 8 | Int(payload[7 + $0 * 2]) }
                    return (name, hops.filter { $0 != 0 })
                }
                usleep(10_000)
            }
            throw LabError("a connection attempt from port \(port) came to no server")
        }
    }

    /// What `lb explain` says of it: the servers, in the order in which they are asked.
    func explained(from port: UInt16) throws -> [String] {
        let rows: [[String: JSONValue]] = try site.decode(
            site.must(
                "lb", "explain", "xdp:edge0", "lb", "tcp", "\(Site.client):\(port)", "\(Self.vip):80", "-o", "json"))
        let hops = rows.compactMap { row -> (Int64, String)? in
            guard case .integer(let hop)? = row["hop"], case .string(let name)? = row["server"] else { return nil }
            return (hop, name)
        }
        return hops.sorted { $0.0 < $1.0 }.map(\.1)
    }

    func lb(_ arguments: String...) throws -> Site.Result {
        try site.ctl(["lb", arguments[0], "xdp:edge0", "lb"] + arguments.dropFirst())
    }

    func states() throws -> [String: String] { try site.serverStates() }
}

extension Site {
    /// The servers' states, by name, as the stage `lb` has them.
    func serverStates() throws -> [String: String] {
        let rows: [[String: JSONValue]] = try decode(must("lb", "servers", "xdp:edge0", "lb", "-o", "json"))
        return rows.reduce(into: [:]) { states, row in
            if case .string(let name)? = row["server"], case .string(let state)? = row["state"] { states[name] = state }
        }
    }
}

/// What comes out of a tunnel, as it is.
private final class TunnelSocket {
    private let descriptor: Int32

    init(on address: String) throws {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        var local = try ipv4(address, 6080)
        guard withAddress(&local, { bind(descriptor, $0, $1) }) == 0 else {
            throw LabError("bind UDP to \(address) port 6080: \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    func receive() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 2048)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return count >= 12 ? Array(buffer.prefix(count)) : nil
    }
}

/// Takes connections and does nothing with them, until it goes.
final class ListeningSocket: Sendable {
    private let descriptor: Int32

    init(on address: String, _ port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        var local = try ipv4(address, port)
        guard withAddress(&local, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 1024) == 0 else {
            throw LabError("listen on \(address) port \(port): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }
}

private enum TCPAttempt {
    /// Sends a SYN and leaves it at that.
    static func connect(from: (String, UInt16), to: (String, UInt16)) throws {
        let descriptor = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        defer { close(descriptor) }
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        var (local, remote) = (try ipv4(from.0, from.1), try ipv4(to.0, to.1))
        guard withAddress(&local, { bind(descriptor, $0, $1) }) == 0 else {
            throw LabError("bind TCP to \(from.0) port \(from.1): \(String(cString: strerror(errno)))")
        }
        guard withAddress(&remote, { Glibc.connect(descriptor, $0, $1) }) == 0 || errno == EINPROGRESS else {
            throw LabError("connect to \(to.0) port \(to.1): \(String(cString: strerror(errno)))")
        }
    }
}

private func ipv4(_ text: String, _ port: UInt16) throws -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    guard inet_pton(AF_INET, text, &address.sin_addr) == 1 else { throw LabError("no address: '\(text)'") }
    return address
}

private func withAddress(_ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    withUnsafeBytes(of: &address) { raw in
        body(raw.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
    }
}
