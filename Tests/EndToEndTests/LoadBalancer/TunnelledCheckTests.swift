// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import StageTesting
import Testing

extension EndToEnd {
    /// Health checks through the tunnel, by real daemons on both machines and a real web server on each.
    @Suite struct TunnelledCheckTests {
        @Test(arguments: [true, false])
        func goThroughTheTunnelAndComeBack(isIPv4: Bool) async throws {
            try await Lab.run { lab in
                let machines = try TwoMachines(lab, isIPv4: isIPv4)
                let site = machines.site

                func isDown() throws -> Bool {
                    try site.serverStates() == ["edge1": "active", "edge2": "down (checks)"]
                }
                func isUp() throws -> Bool { try site.serverStates() == ["edge1": "active", "edge2": "active"] }
                try lab.until("all checks are well") {
                    try machines.found() == [String](repeating: "up", count: 6)
                }
                // They have had answers from VIPs, and from nobody else.
                let before = try machines.count("xdp:edge0", "verdicts", "check-answer")
                #expect(before > 0)
                try lab.until("answers") {
                    try machines.count("xdp:edge0", "verdicts", "check-answer") >= before + 100
                }
                #expect(try machines.count("tc-egress:edge0", "checks", "tunnelled") > 100)
                #expect(try machines.count("tc-egress:edge0", "checks", "lost") == 0)
                #expect(try machines.count("xdp:edge0", "verdicts", "check-astray") == 0)
                #expect(try isUp())

                // If the server takes nothing out of tunnels, its checks fail, though it would answer itself.
                try machines.must("detach", "xdp:client0")
                try lab.until("checks fail") { try isDown() }
                try machines.direct()
                try lab.until("checks are well again") { try isUp() }

                // Nor does its own answer count where nobody sends checks through the tunnel.
                try site.must("detach", "tc-egress:edge0")
                try lab.until("checks go astray") { try isDown() }
                #expect(try machines.count("xdp:edge0", "verdicts", "check-astray") > 0)
                try site.apply(machines.director)
                try lab.until("checks are well at last") { try isUp() }
            }
        }
    }
}

/// A director that is a server too, edge1, and another server in the client's namespace, edge2, with a daemon of its own.
/// Both have the VIP, and a web server that answers on all addresses.
private struct TwoMachines {
    let site: Site
    private let isIPv4: Bool
    private var lab: Lab { site.lab }
    private var socket: String { "\(lab.directory)/edge2.sock" }
    private var addresses: [String] { isIPv4 ? [Site.edge, Site.client] : ["fd00:9::1", "fd00:9::2"] }
    private var vip: String { isIPv4 ? "198.51.100.10" : "2001:db8:1::10" }

    init(_ lab: Lab, isIPv4: Bool) throws {
        self.isIPv4 = isIPv4
        site = try Site(lab, plugins: ["l4lb-1_1"])
        for netns in [nil, "client"] {
            let options = isIPv4 ? "" : " nodad"
            try lab.ip(["addr add \(vip)/\(isIPv4 ? 32 : 128) dev lo\(options)", "link set lo up"], netns: netns)
        }
        try lab.check([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
            "-subj", "/CN=edge", "-keyout", "\(lab.directory)/key.pem", "-out", "\(lab.directory)/certificate.pem",
        ])
        for netns in [nil, "client"] {
            let server = try lab.spawn(["python3", "-I", "-c", Self.server, lab.directory], netns: netns)
            try lab.until("the server is ready: \(server.errors)") { server.output.contains("ready") }
        }
        let other = try lab.spawn(
            [
                BuildProducts.path("sluiced"), "--socket", socket, "--bpffs", "\(lab.bpffs)/edge2", "--state",
                "\(lab.directory)/edge2", "--plugins", site.plugins, "--idle-exit", "0",
            ], netns: "client")
        try site.start()
        try lab.until("the other daemon answers: \(other.errors)") { try ctl(["version"]).wait() == .exited(0) }
        try direct()
        try site.apply(director)
    }

    /// Has the server take packets out of tunnels.
    func direct() throws { try must("apply", "-f", "-", input: spec("[xdp]", "client0", source: 1, local: "edge2")) }

    var director: String { spec("[xdp, tc-egress]", "edge0", source: 0, local: "edge1") }

    private func spec(_ hooks: String, _ interface: String, source: Int, local: String) -> String {
        // Of more than a segment, which only together fit no tunnel.
        let path = "/health?" + String(repeating: "x", count: 3500)
        let checks = [(80, "http, path: \(path)"), (443, "https, path: \(path)"), (8080, "tcp")]
        let interval = "\(200 * Lab.patience)ms"
        let pools = checks.map { port, type in
            """
                            - name: pool\(port)
                              servers: [edge1, edge2]
                              entries: 256
                              check: { type: \(type), port: \(port), to: vip, interval: \(interval), timeout: \(interval) }

            """
        }
        let services = checks.map { port, _ in
            "                - { name: s\(port), vip: \"\(vip)\", protocol: tcp, port: \(port), pool: pool\(port) }\n"
        }
        return """
            chains:
              - hooks: \(hooks)
                place: \(interface)
                stages:
                  - name: lb
                    plugin: l4lb
                    config:
                      director: { source-\(isIPv4 ? "v4" : "v6"): "\(addresses[source])" }
                      local: \(local)
                      servers:
                        - { name: edge1, id: 1, address: "\(addresses[0])" }
                        - { name: edge2, id: 2, address: "\(addresses[1])" }
                      pools:
            \(pools.joined())\
                      services:
            \(services.joined())
            """
    }

    /// `sluicectl`, to the other machine's daemon.
    private func ctl(_ arguments: [String], input: String? = nil) throws -> LabProcess {
        try lab.spawn(
            [BuildProducts.path("sluicectl")] + arguments, input: input, environment: ["SLUICE_SOCKET": socket])
    }

    func must(_ arguments: String..., input: String? = nil) throws {
        let process = try ctl(arguments, input: input)
        guard try process.wait(timeout: .seconds(60)) == .exited(0) else {
            throw LabError("\(arguments): \(process.errors)")
        }
    }

    /// What each check finds.
    func found() throws -> [String] {
        let rows: [[String: JSONValue]] = try site.decode(
            site.must("stats", "xdp:edge0", "--stage", "lb", "--top", "checks", "-o", "json"))
        return rows.compactMap { if case .string(let state)? = $0["state"] { state } else { nil } }
    }

    func count(_ hook: String, _ table: String, _ label: String) throws -> UInt64 {
        let stats: ChainStats = try site.decode(site.must("stats", hook, "--output", "json"))
        let row = stats.stages[0].tables.first { $0.name == table }?.rows.first { $0.label == label }
        guard case .count(let count)? = row?.values.first else { throw LabError("\(hook) counts no \(label)") }
        return count
    }

    /// Serves HTTP, HTTPS and, on port 8080, HTTP that nobody asks for.
    private static let server = """
        import http.server, socket, ssl, sys, threading
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'x' * 20000)
            def log_message(self, *args): pass
        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6
            def handle_error(self, *args): pass
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1] + '/certificate.pem', sys.argv[1] + '/key.pem')
        servers = [Server(('::', port), Handler) for port in (80, 443, 8080)]
        servers[1].socket = context.wrap_socket(servers[1].socket, server_side=True)
        for server in servers: threading.Thread(target=server.serve_forever).start()
        print('ready', flush=True)
        """
}
