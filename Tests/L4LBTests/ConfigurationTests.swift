// SPDX-License-Identifier: Apache-2.0

import StageKit
import Testing

@testable import L4LB

@Suite("Configuration")
struct ConfigurationTests {
    @Test func readsEverything() throws {
        let configuration = try Configuration(
            text: """
                { "director": { "source-v4": "192.0.2.10", "source-v6": "2001:db8::10", "mtu": 9000, "route": "back",
                                "too-big-rate": 7, "hash-seed": 99 },
                  "gue-port": 6081, "local": "edge1", "icmp-echo": false, "quic-config": 2,
                  "servers": [
                    { "name": "edge1", "address": "192.0.2.11", "id": 7, "mac": "02:00:5e:00:00:0b", "weight": 50 },
                    { "name": "edge2", "address": "192.0.2.12", "state": "filling" } ],
                  "pools": [
                    { "name": "web", "servers": ["edge1", "edge2"], "encapsulation": "ipip", "hash": "source",
                      "entries": 4096,
                      "check": { "type": "http", "port": 80, "path": "/up", "host": "example.org", "status": "200-299",
                                 "interval": "1500ms", "timeout": 1, "rise": 3, "fall": 4, "jitter": 20,
                                 "dampening": "5m" } } ],
                  "services": [
                    { "name": "http", "vip": "198.51.100.0/28", "protocol": "tcp", "port": 80, "pool": "web" },
                    { "name": "many", "vip": "198.51.100.0/28", "protocol": "tcp", "port": "8000-8100", "pool": "web" },
                    { "name": "rest", "vip": "2001:db8:1::/64", "protocol": "udp", "port": "all", "pool": "web",
                      "quic": true } ] }
                """)
        var check = HealthCheck(.http, port: 80)
        check.path = "/up"
        check.host = "example.org"
        check.status = 200...299
        check.interval = Interval(milliseconds: 1500)
        (check.rise, check.fall, check.jitter) = (3, 4, 20)
        check.dampening = Interval(milliseconds: 300_000)
        let expected = Configuration(
            director: Director(
                sourceV4: "192.0.2.10", sourceV6: "2001:db8::10", mtu: 9000, route: .back, tooBigRate: 7, hashSeed: 99),
            guePort: 6081,
            servers: [
                Server(
                    name: "edge1", number: 7, address: "192.0.2.11", mac: MACAddress([2, 0, 0x5e, 0, 0, 0x0b]),
                    weight: 50),
                Server(name: "edge2", address: "192.0.2.12", state: .filling),
            ],
            pools: [
                Pool(
                    name: "web", servers: ["edge1", "edge2"], encapsulation: .ipip, hash: .source, entries: 4096,
                    check: check)
            ],
            services: [
                Service(
                    name: "http", vip: try IPPrefix("198.51.100.0/28"), protocol: .tcp, ports: PortRange(80),
                    pool: "web"),
                Service(
                    name: "many", vip: try IPPrefix("198.51.100.0/28"), protocol: .tcp, ports: PortRange(8000, 8100),
                    pool: "web"),
                Service(
                    name: "rest", vip: try IPPrefix("2001:db8:1::/64"), protocol: .udp, ports: .all, pool: "web",
                    quic: true),
            ], local: "edge1", icmpEcho: false, quicConfig: 2)
        #expect(configuration == expected)
        #expect(try JSON(encoding: expected).decode(Configuration.self) == expected)
        #expect(throws: Never.self) { try configuration.check() }
    }

    /// What an operator may get wrong, and where and how it is told.
    private static let mistakes: [(String, @Sendable (inout Configuration) -> Void, String)] = [
        (
            "a VIP twice",
            {
                $0.services[2].protocol = .tcp; $0.services[2].ports = PortRange(1, 100)
            },
            #"services[2].vip: 198.51.100.10/32 tcp 1-100 is that of service "http" too (80)"#
        ),
        (
            "prefixes that overlap", { $0.services[2].vip = IPPrefix("198.51.100.10", length: 24) },
            #"services[2].vip: 198.51.100.10/32 and 198.51.100.0/24 overlap (service "http")"#
        ),
        (
            "a server that is a VIP", { $0.servers[1].address = "198.51.100.10" },
            #"servers[1].address: 198.51.100.10 is in the VIP 198.51.100.10/32 of service "dns": packets to the server "#
                + "would be taken for the service's"
        ),
        (
            "the director's own address", { $0.services[0].vip = IPPrefix("192.0.2.10", length: 32) },
            "services[0].vip: 192.0.2.10/32 has the director's own address 192.0.2.10 (`director.source-v4`) in it"
        ),
        ("MTU too small", { $0.director.mtu = 1319 }, "director.mtu: 1319: expected 1320 to 9216: 40 bytes of it are"),
        (
            "an unknown server", { $0.pools[0].servers[1] = "edge9" },
            #"pools[0].servers[1]: there is no server "edge9""#
        ),
        ("an unknown pool", { $0.services[3].pool = "wob" }, #"services[3].pool: there is no pool "wob""#),
        ("an unknown self", { $0.local = "edge9" }, #"local: there is no server "edge9""#),
        ("servers of one name", { $0.servers[1].name = "edge1" }, #"servers[1].name: "edge1" is there twice"#),
        ("pools of one name", { $0.pools.append($0.pools[0]) }, #"pools[1].name: "web" is there twice"#),
        ("services of one name", { $0.services[1].name = "http" }, #"services[1].name: "http" is there twice"#),
        ("a name that is none", { $0.servers[0].name = "a b" }, #"servers[0].name: "a b": expected 1 to 63 letters"#),
        (
            "servers of one number", { $0.servers[1].number = 1 },
            #"servers[1].id: servers "edge1" and "edge2" have the number 1; give one of them an `id` that is free, such "#
                + "as 2, the same on all machines"
        ),
        (
            "a number that the header cannot hold", { $0.servers[1].number = 4096 },
            "servers[1].id: 4096: expected 1 to 4095"
        ),
        (
            "servers of one address", { $0.servers[1].address = "192.0.2.11" },
            #"servers[1].address: 192.0.2.11 is the address of server "edge1" too"#
        ),
        (
            "a server twice in a pool", { $0.pools[0].servers[1] = "edge1" },
            #"pools[0].servers[1]: "edge1" is there twice"#
        ),
        (
            "a server everywhere", { $0.servers[0].address = "255.255.255.255" },
            "servers[0].address: 255.255.255.255 is not one machine's address"
        ),
        (
            "two families", { $0.servers[1].address = "2001:db8::12" },
            #"pools[0].servers[1]: 2001:db8::12 of server "edge2" and 192.0.2.11 of "edge1" are of two families"#
        ),
        (
            "no source", { $0.director.sourceV4 = nil },
            #"pools[0].servers[0]: server "edge1" has the address 192.0.2.11, so packets to it need a "#
                + "`director.source-v4`"
        ),
        (
            "no MAC",
            {
                $0.pools[0].encapsulation = .direct; $0.servers[2].mac = nil
            },
            #"pools[0].servers[2]: server "edge3" has no `mac`, which encapsulation direct sends by"#
        ),
        ("a weight below 0", { $0.servers[0].weight = -1 }, "servers[0].weight: -1: expected a weight of 0 to 100"),
        ("a weight above 100", { $0.servers[0].weight = 101 }, "servers[0].weight: 101: expected a weight of 0 to 100"),
        (
            "no weight at all", { for index in 0..<4 { $0.servers[index].weight = 0 } },
            "pools[0].servers: none of its servers has a weight above 0"
        ),
        ("no server", { $0.pools[0].servers = [] }, "pools[0].servers: expected a server at least"),
        (
            "entries that are no power of two", { $0.pools[0].entries = 1000 },
            "pools[0].entries: 1000: expected a power"
        ),
        (
            "too many entries", { $0.pools[0].entries = 131_072 },
            "pools[0].entries: 131072: expected a power of two of 256"
        ),
        ("QUIC over TCP", { $0.services[0].quic = true }, "services[0].quic: is for protocol udp only"),
        ("a tunnel on no port", { $0.guePort = 0 }, "gue-port: 0: expected a port of 1 to 65535"),
        (
            "a check of no port", { $0.pools[0].check = HealthCheck(.tcp, port: 0) },
            "pools[0].check.port: 0: expected a"
        ),
        (
            "a check longer than its interval",
            {
                $0.pools[0].check = HealthCheck(.tcp, port: 1)
                $0.pools[0].check?.timeout = Interval(milliseconds: 3000)
            }, "pools[0].check.timeout: 3s: expected 10ms to the interval, 2s"
        ),
        (
            "a query to no service", { $0.pools[0].check = HealthCheck(.dns, port: 54) },
            #"pools[0].check: goes to a VIP: no service of pool "web" is for udp, port 54, on a VIP"#
        ),
        (
            "a query without a tunnel",
            {
                $0.pools[0].check = HealthCheck(.dns, port: 53)
                $0.pools[0].encapsulation = .ipip
            }, "pools[0].check: to a VIP goes through the tunnel, so the pool's encapsulation must be gue"
        ),
        (
            "a connection through the tunnel to no service",
            {
                $0.pools[0].check = HealthCheck(.http, port: 81)
                $0.pools[0].check?.to = .vip
            },
            #"pools[0].check: goes to a VIP: no service of pool "web" is for tcp, port 81, on a VIP of its servers' "#
                + "family of addresses"
        ),
        (
            "a query to a server",
            {
                $0.pools[0].check = HealthCheck(.dns, port: 53)
                $0.pools[0].check?.to = .server
            }, "pools[0].check.to: of type dns goes through the tunnel to a VIP"
        ),
        (
            "ports that take a privilege", { $0.director.checkPorts = .all },
            "director.check-ports: all: expected ports of 1024 and above"
        ),
        (
            "fewer ports than checks",
            {
                $0.pools[0].check = HealthCheck(.tcp, port: 80)
                $0.pools[0].check?.to = .vip
                $0.director.checkPorts = PortRange(61000, 61002)
            },
            "director.check-ports: 61000-61002 has 3 ports; 4 checks go through the tunnel and need one each"
        ),
    ]

    @Test(arguments: mistakes.indices)
    func mistakesAreTold(index: Int) {
        let (name, mistake, expected) = Self.mistakes[index]
        var configuration = Configuration.sample()
        mistake(&configuration)
        let error = #expect(throws: StageError.self, "\(name)") { try configuration.plan() }
        #expect(error?.description.hasPrefix(expected) ?? false, "\(name): \(error?.description ?? "accepted")")
    }

    @Test(arguments: [
        (#""port": 0"#, "services[0].port: \"0\": expected a port of 1 to 65535, a range such as 8000-8100, or all"),
        (#""port": 65536"#, "services[0].port: \"65536\": expected a port"),
        (#""port": "90-80""#, "services[0].port: \"90-80\": the range ends before it begins"),
        (#""port": "http""#, "services[0].port: \"http\": expected a port"),
        (#""ports": 80"#, "services[0].ports: unknown key; did you mean \"port\"?"),
    ])
    func portsAreReadStrictly(member: String, expected: String) {
        let port = member.contains("ports") ? #""port": 80, "# : ""
        let text = """
            { "servers": [], "pools": [], "services": [
              { "name": "a", "vip": "192.0.2.1", "protocol": "tcp", "pool": "p", \(port)\(member) } ] }
            """
        let error = #expect(throws: StageError.self) { try Configuration(text: text) }
        #expect(error?.description.hasPrefix(expected) ?? false, "\(error?.description ?? "accepted")")
    }

    @Test func limitsAreTold() throws {
        func many(servers: Int, pools: Int, entries: Int) -> Configuration {
            let all = (0..<servers).map {
                Server(
                    name: "s\($0)", number: $0 + 1, address: IPAddress(bytes: [10, 0, UInt8($0 >> 8), UInt8($0 & 255)]))
            }
            return Configuration(
                director: Director(sourceV4: "192.0.2.1"), servers: all,
                pools: (0..<pools).map { pool in
                    // Each with another server, or they would have one table.
                    let names = all.prefix(1024).map(\.name)
                    return Pool(
                        name: "p\(pool)", servers: servers > 1024 ? names.dropLast() + [all[1023 + pool].name] : names,
                        entries: entries)
                })
        }
        func refusal(_ configuration: Configuration) -> String? {
            (#expect(throws: StageError.self) { try configuration.check() })?.description
        }
        #expect(
            refusal(many(servers: 4096, pools: 1, entries: 256))
                == "servers: has 4096 of them; at most 4095 are possible")
        #expect(
            refusal(many(servers: 1100, pools: 33, entries: 65536))?.hasPrefix("pools: have forwarding tables of")
                ?? false
        )
        #expect(
            refusal(many(servers: 1100, pools: 9, entries: 65536))?.hasPrefix("pools: need 603979776 scores") ?? false)
        #expect(throws: Never.self) { try many(servers: 1100, pools: 8, entries: 65536).check() }
        #expect(throws: Never.self) { try many(servers: 1024, pools: 512, entries: 65536).check() }
        #expect(throws: Never.self) { try many(servers: 1600, pools: 512, entries: 1024).check() }
    }

    @Test func warnsOfWhatMayNotBeMeant() throws {
        var configuration = Configuration.sample(weights: [0], encapsulation: .ipip)
        configuration.servers.append(Server(name: "spare", number: 99, address: "192.0.2.99"))
        configuration.pools.append(Pool(name: "idle", servers: ["edge2", "edge3"]))
        configuration.pools.append(Pool(name: "api", servers: ["edge2"]))
        configuration.services.append(
            Service(
                name: "api", vip: IPPrefix("198.51.100.10", length: 32), protocol: .tcp, ports: PortRange(443),
                pool: "api"))
        let warnings = try configuration.plan().summary.filter { $0.hasPrefix("warning: ") }
        #expect(
            warnings == [
                "warning: pool web: packets by ipip name no second server, so each change of its servers, a drain or another "
                    + "weight too, breaks connections", "warning: pool idle has no service",
                "warning: no pool has spare",
                "warning: of weight 0, so without packets, those of its connections included: edge1; drain a server "
                    + "instead",
                "warning: fragments to 198.51.100.10/32 tcp have no ports: all go to pool web, those of api too",
            ])
    }
}
