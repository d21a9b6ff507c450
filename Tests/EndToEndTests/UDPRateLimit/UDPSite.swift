// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

/// An edge with 32,768 addresses of each family, all served by one socket, and a client that sends to them.
final class UDPSite {
    let site: Site
    let hook: String
    private let kind: HookKind
    private let cgroup: String
    private var sinks: [LabProcess] = []

    static let v4 = "10.50.0.0/17"
    static let v6 = "fd50::/113"
    static let (firstV4, firstV6) = ("10.50.0.0", "fd50::")
    static let port = 5353

    var lab: Lab { site.lab }

    /// Runs `body` in a lab, and leaves no cgroup behind, however it ends.
    static func run(_ kind: HookKind, _ body: @escaping @Sendable (UDPSite) throws -> Void) async throws {
        try await Lab.run { lab in
            let site = try UDPSite(lab, kind)
            defer { site.removeCgroup() }
            try body(site)
        }
    }

    private init(_ lab: Lab, _ kind: HookKind) throws {
        self.kind = kind
        site = try Site(lab, plugins: ["udp-ratelimit-1_0", "noop"])
        let name = "/sluice-udp-\(getpid()).slice"
        cgroup = try #require(Cgroups.mount(), "cgroup2 is mounted") + name
        hook = kind == .socketFilter ? "socket-filter:dns" : "\(kind.rawValue):\(name)"
        try lab.ip(["route add local \(Self.v4) dev lo", "route add local \(Self.v6) dev lo"])
        try lab.ip(
            ["route add \(Self.v4) via \(Site.edge)", "route add \(Self.v6) via fd00:9::1"], netns: "client")
        // Strangers are nobody's neighbours.
        try lab.check(["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.edge0.rp_filter=0"])
        try site.start()
        // Last, so that there is none when anything fails.
        guard mkdir(cgroup, 0o755) == 0 || errno == EEXIST else { throw LabError("mkdir \(cgroup): errno \(errno)") }
    }

    private func removeCgroup() {
        for sink in sinks { sink.send(signal: SIGKILL) }
        for _ in 0..<200 where rmdir(cgroup) != 0 && errno == EBUSY { usleep(10_000) }
    }

    /// A chain of the stage, whose configuration this is, and of what stands behind it.
    func spec(_ configuration: String, more: String = "") -> String {
        """
        chains:
          - hook: \(hook)
            stages:
              - name: limit
                plugin: udp-ratelimit
                config: \(configuration)
        \(more)
        """
    }

    /// Of one policy for all addresses.
    func spec(perAddress: String, more: String = "") -> String {
        spec("{policies: [{name: dns, destinations: [\(Self.v4), \"\(Self.v6)\"], per-address: \(perAddress)\(more)}]}")
    }

    // MARK: - Traffic

    /// What a sink has seen.
    struct Tally: Decodable {
        var received: Int
        var drops: Int
        var lengths: [String: Int]
        var marks: [String: Int]
        var histogram: [String: Int]
        var watched: [String: Int]
    }

    struct Sent: Decodable {
        var sent: Int
        var refused: Int
        var ms: Int
    }

    /// Starts a sink, which the chain is for.
    func sink(watching: [Int] = [], addresses: Int = 30_000, gro: Bool = false) throws -> LabProcess {
        var arguments = [
            BuildProducts.path("testbed-traffic"), "sink", "--port", "\(Self.port)", "--first", Self.firstV4, "--first",
            Self.firstV6, "--addresses", "\(addresses)",
        ]
        for number in watching { arguments += ["--watch", "\(number)"] }
        if gro { arguments.append("--gro") }
        arguments += kind == .socketFilter ? ["--filter", "\(site.bpffs)/\(hook)/root"] : ["--cgroup", cgroup]
        let sink = try lab.spawn(arguments)
        sinks.append(sink)
        try lab.until("the sink is ready: \(sink.errors)") { !sink.isRunning || sink.errors.contains("ready") }
        return sink
    }

    func end(_ sink: LabProcess) throws -> Tally {
        sink.terminate()
        guard try sink.wait() == .exited(0) else { throw LabError("the sink failed: \(sink.errors)") }
        return try site.decode(sink.output)
    }

    /// Starts to send; see `testbed-traffic datagrams --help`.
    func send(to first: String, number: Int = 0, _ arguments: String...) throws -> LabProcess {
        let address =
            first.contains(":") ? "fd50::\(String(number, radix: 16))" : "10.50.\(number / 256).\(number % 256)"
        let endpoint = first.contains(":") ? "[\(address)]:\(Self.port)" : "\(address):\(Self.port)"
        return try lab.spawn(
            [BuildProducts.path("testbed-traffic"), "datagrams", "--to", endpoint] + arguments, netns: "client")
    }

    func sent(by process: LabProcess) throws -> Sent {
        guard try process.wait(timeout: .seconds(60)) == .exited(0) else {
            throw LabError("sending failed: \(process.errors)")
        }
        let sent: Sent = try site.decode(process.output)
        guard sent.refused == 0 else { throw LabError("\(sent.refused) of \(sent.sent) were not sent") }
        return sent
    }

    /// `InErrors` of UDP, both families together.
    func inputErrors() throws -> Int {
        let text = try lab.check(["cat", "/proc/net/snmp", "/proc/net/snmp6"])
        let lines = text.split(separator: "\n").map { $0.split(whereSeparator: \.isWhitespace).map(String.init) }
        let rows = lines.filter { $0.first == "Udp:" }
        let column = try #require(rows.first?.firstIndex(of: "InErrors"))
        let v6 = lines.first { $0.first == "Udp6InErrors" }?.last.flatMap(Int.init) ?? 0
        return (Int(rows[1][column]) ?? 0) + v6
    }

    // MARK: - What the stage says

    struct Counts: Decodable, Equatable {
        var admitted, source, address, prefix: Int
        var dropped: Int { source + address + prefix }

        private enum CodingKeys: String, CodingKey {
            case admitted
            case source = "over-source"
            case address = "over-address"
            case prefix = "over-prefix"
        }
    }

    func counts() throws -> Counts {
        let rows: [Counts] = try site.decode(site.must("rule", "list", hook, "limit", "-o", "json"))
        return rows[0]
    }
}
