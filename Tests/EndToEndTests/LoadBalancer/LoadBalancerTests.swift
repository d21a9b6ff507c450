// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageTesting
import Testing

extension EndToEnd {
    /// A load balancer through the real daemon: what an operator types, and where packets go then.
    @Suite struct LoadBalancerTests {
        private static let ports: [UInt16] = Array(42_000..<42_012)

        @Test func aDrainMovesNewConnectionsAndIsKept() async throws {
            try await Lab.run { lab in
                let balancer = try LoadBalancerSite(lab)
                let site = balancer.site
                let before = try Self.ports.map { try balancer.way(from: $0) }
                #expect(Set(before.map(\.server)) == ["edge1", "edge2", "edge3"])
                for (port, way) in zip(Self.ports, before) {
                    let explained = try balancer.explained(from: port)
                    #expect([way.server] + way.hops.map { "edge\($0)" } == explained)
                }

                let said = try site.must("lb", "drain", "xdp:edge0", "lb", "edge2", "-m", "CHG-7")
                #expect(said.contains("edge2 drains: new connections go to the next of each ranking"))
                #expect(try balancer.states() == ["edge1": "active", "edge2": "draining", "edge3": "active"])
                for (port, way) in zip(Self.ports, before) {
                    let now = try balancer.way(from: port)
                    if way.server == "edge2" {
                        // Whoever had the connection is asked next.
                        #expect(now.server != "edge2" && now.hops.first == 2)
                    } else {
                        #expect(now.server == way.server)
                    }
                    #expect(try balancer.explained(from: port).first == now.server)
                }
                // No generation was built, and the audit trail has it.
                #expect(try site.history().count == 1)
                #expect(try site.events().last?.message.contains("CHG-7") ?? false)

                // It outlives another generation, and the daemon.
                try site.apply(LoadBalancerSite.spec(more: "          icmp-echo: false"))
                #expect(try site.history().count == 2)
                site.killDaemon()
                try site.start()
                #expect(try balancer.states()["edge2"] == "draining")
                #expect(try Self.ports.allSatisfy { try balancer.way(from: $0).server != "edge2" })
                try site.must("rollback", "xdp:edge0")
                #expect(try balancer.states()["edge2"] == "draining")

                try site.must("lb", "fill", "xdp:edge0", "lb", "edge2")
                try site.must("lb", "up", "xdp:edge0", "lb", "edge2")
                #expect(try Self.ports.map { try balancer.way(from: $0).server } == before.map(\.server))
            }
        }

        /// Checks are made where the hook is, not where the daemon is.
        @Test func serversAreCheckedFromTheHooksNamespace() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["l4lb-1_1"])
                // Of which nobody else has heard.
                try lab.ip(["addr add 10.77.0.1/32 dev lo", "link set lo up"], netns: "client")
                let server = try lab.inNamespace("client") { try ListeningSocket(on: "10.77.0.1", 8080) }
                try site.start()
                try site.apply(
                    """
                    chains:
                      - hook: xdp:client0@client
                        stages:
                          - name: lb
                            plugin: l4lb
                            config:
                              director: { source-v4: \(Site.client) }
                              servers: [{ name: edge1, id: 1, address: 10.77.0.1 }]
                              pools:
                                - name: web
                                  servers: [edge1]
                                  entries: 256
                                  check: { type: tcp, port: 8080, interval: 200ms, timeout: 200ms }
                              services: [{ name: http, vip: 198.51.100.10, protocol: tcp, port: 80, pool: web }]
                    """)
                try lab.until("the server is well") {
                    let rows: [[String: JSONValue]] = try site.decode(
                        site.must("stats", "xdp:client0@client", "--stage", "lb", "--top", "checks", "-o", "json"))
                    return rows.map { $0["state"] } == [.string("up")]
                }
                withExtendedLifetime(server) {}
            }
        }

        /// To the version that takes samples, back, and to samples.
        @Test func anUpgradeKeepsWhatWasSaidAndBringsSamples() async throws {
            try await Lab.run { lab in
                let balancer = try LoadBalancerSite(lab, spec: LoadBalancerSite.spec(version: "1.0"))
                let site = balancer.site
                func top(_ what: String) throws -> [[String: JSONValue]] {
                    try site.decode(site.must("stats", "xdp:edge0", "--stage", "lb", "--top", what, "-o", "json"))
                }
                func version() throws -> String? { try site.status().stages.first?.version }
                try site.must("lb", "drain", "xdp:edge0", "lb", "edge2")
                let states = try balancer.states()
                let ways = try Self.ports.map { try balancer.way(from: $0) }
                func isAsBefore() throws -> Bool {
                    try balancer.states() == states
                        && zip(Self.ports, ways).allSatisfy { try balancer.way(from: $0) == $1 }
                }
                #expect(try version() == "1.0")
                try site.must("upgrade", "xdp:edge0", "lb", "--to", "1.1")
                #expect(try version() == "1.1" && isAsBefore())
                try site.must("rollback", "xdp:edge0")
                #expect(try version() == "1.0" && isAsBefore())

                let sampling = "          sample: { packets-per-second: 1000 }"
                let refused = try site.ctl(
                    "apply", "-f", "-", input: LoadBalancerSite.spec(version: "1.0", more: sampling))
                #expect(!refused.succeeded && refused.errors.contains("sample"), "\(refused.errors)")
                try site.apply(LoadBalancerSite.spec(more: sampling))
                #expect(try version() == "1.1" && isAsBefore())
                let port = Self.ports[0]
                // The first second of samples does not count.
                try lab.until("there are samples") {
                    _ = try balancer.way(from: port)
                    return try !top("flows").isEmpty
                }
                let sample = try #require(
                    try top("samples").first { $0["source"] == .string("\(Site.client):\(port)") })
                #expect(
                    sample["verdict"] == .string("forwarded") && sample["service"] == .string("http")
                        && sample["tcp-flags"] == .string("syn"))
                #expect(sample["destination"] == .string("\(LoadBalancerSite.vip):80"))
                #expect(sample["first"] == .string(ways[0].server) && sample["sent-to"] == sample["first"])
                let flow = try #require(try top("flows").first)
                #expect(flow["service"] == .string("http") && flow["first"] == .string(ways[0].server))
                let unknown = try site.ctl("stats", "xdp:edge0", "--stage", "lb", "--top", "colours")
                #expect(unknown.errors.contains("expected one of samples, flows, "), "\(unknown.errors)")
            }
        }

        @Test func whatMakesNoSenseIsRefused() async throws {
            try await Lab.run { lab in
                let balancer = try LoadBalancerSite(lab)
                let cases: [(arguments: [String], says: String)] = [
                    (["drain", "edge9"], "drain[0]: the stage has no server \"edge9\""),
                    (["up", "edge1"], "server \"edge1\" is active already"),
                    (["weight", "edge1", "101"], "101: expected 0 to 100"),
                    (["drain", "edge1", "edge2", "edge3"], "no server would be left that takes new connections"),
                    (["explain", "tcp", "10.9.0.2:1", "\(LoadBalancerSite.vip):81"], "no service is for"),
                ]
                for (arguments, says) in cases {
                    let result = try balancer.site.ctl(
                        ["lb", arguments[0], "xdp:edge0", "lb"] + arguments.dropFirst())
                    #expect(!result.succeeded && result.errors.contains(says), "\(arguments): \(result.errors)")
                }
                #expect(try balancer.states() == ["edge1": "active", "edge2": "active", "edge3": "active"])
                let refused = try balancer.site.ctl(
                    "apply", "-f", "-",
                    input: LoadBalancerSite.spec().replacing("198.51.100.10, p", with: "10.9.0.11, p"))
                #expect(refused.errors.contains("servers[0].address: 10.9.0.11 is in the VIP"), "\(refused.errors)")
            }
        }

        /// A server that stops to answer is taken out by its check, and back in; an operator's word stays.
        @Test func checksTakeServersOutAndIn() async throws {
            try await Lab.run { lab in
                let check = ", check: { type: tcp, port: 8080, interval: 200ms, timeout: 200ms, rise: 2, fall: 2 }"
                let balancer = try LoadBalancerSite(lab)
                func listen(_ server: String) throws -> ListeningSocket {
                    try lab.inNamespace("client") { try ListeningSocket(on: LoadBalancerSite.servers[server]!, 8080) }
                }
                var listeners = try LoadBalancerSite.servers.keys.reduce(into: [:]) { $0[$1] = try listen($1) }
                try balancer.site.apply(LoadBalancerSite.spec(check: check))
                func becomes(_ server: String, _ state: String) throws {
                    try lab.until("\(server) is \(state)") { try balancer.states()[server] == state }
                }
                let checks = { try balancer.site.must("stats", "xdp:edge0", "--stage", "lb", "--top", "checks") }
                try lab.until("all checks pass") {
                    try checks().split(separator: "\n").count { $0.contains(" up ") } == 3
                }

                listeners["edge1"] = nil
                try becomes("edge1", "down (checks)")
                #expect(try Self.ports.allSatisfy { try balancer.way(from: $0).server != "edge1" })
                let event = try #require(try balancer.site.events().last { $0.action == "change" })
                #expect(event.message.contains("edge1 is down by its checks"), "\(event)")

                try balancer.site.must("lb", "drain", "xdp:edge0", "lb", "edge2")
                listeners["edge2"] = nil
                try becomes("edge2", "draining, down (checks)")
                for server in ["edge1", "edge2"] { listeners[server] = try listen(server) }
                try becomes("edge1", "active")
                try becomes("edge2", "draining")
                try balancer.site.must("lb", "up", "xdp:edge0", "lb", "edge2")

                // All at once: what is left stays in, and it is said.
                listeners = [:]
                try lab.until("it is said") { balancer.site.daemon?.errors.contains("ALL SERVERS OF POOL") ?? false }
                Thread.sleep(forTimeInterval: 1)
                #expect(try balancer.states().values.contains("active"))
                #expect(try Self.ports.allSatisfy { try !balancer.way(from: $0).server.isEmpty })
            }
        }
    }
}
