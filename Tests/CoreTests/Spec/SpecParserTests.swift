// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import StageKit
import Testing

@testable import SluiceCore

@Suite struct SpecParserTests {
    private func parse(_ text: String) throws -> [ChainSpec] { try SpecParser.parse(text, source: "edge.yaml") }

    @Test func aWholeSpec() throws {
        let chains = try parse(
            """
            chains:
              - hook: xdp:eth0
                netns: /run/netns/edge
                mode: auto
                frags: false
                counters: false
                on-fault: drop
                stages:
                  - name: dos
                    plugin: volumetric-dos
                    version: 1.10
                    config:
                      allow: [2001:db8::/32, 10.0.0.0/8]
                      limit: {packets-per-second: 1000}
                      dry-run: no
                      name: "1"
                      ratio: 0.5
                      big: 18446744073709551615
                      time: 10:20
                      none: ~
                  - {name: last, plugin: noop}
            """)
        #expect(chains.count == 1)
        let chain = chains[0]
        #expect(chain.hook == "xdp:eth0@edge" && chain.mode == .auto && chain.frags == false && !chain.counters)
        #expect(chain.onFault == .drop)
        #expect(chain.stages.map(\.name) == ["dos", "last"])
        #expect(
            chain.stages[0].source
                == .plugin(.init(name: "volumetric-dos", version: "1.10", config: chain.stages[0].config)))
        #expect(chain.stages[1].source == .plugin(.init(name: "noop")))
        let config = chain.stages[0].config
        #expect(config["allow"] == ["2001:db8::/32", "10.0.0.0/8"])
        #expect(config["limit"]?["packets-per-second"] == 1000)
        #expect(config["dry-run"] == false)
        #expect(config["name"] == "1" && config["time"] == "10:20" && config["none"] == .null)
        #expect(config["ratio"] == 0.5 && config["big"] == .unsigned(.max))
    }

    @Test func standingRulesOfAGroup() throws {
        let chains = try parse(
            """
            chains:
              - hook: socket-filter:dns
                match:
                  - {local: "*:53/udp", unit: dns.service}
                  - {local: "[::1]:0053/tcp", cgroup: /edge.slice/dns, netns: edge}
                stages: [{name: a, plugin: noop}]
              - hook: socket-filter:other
                stages: [{name: a, plugin: noop}]
            """)
        #expect(
            chains[0].match == [
                SocketRule(local: "*:53/udp", cgroup: "dns.service"),
                SocketRule(local: "[::1]:53/tcp", cgroup: "/edge.slice/dns", netns: "/run/netns/edge"),
            ])
        #expect(chains[1].match == nil)
    }

    @Test(arguments: [
        ("hook: xdp:eth0, match: [{local: \"*:53/udp\"}]", "match: a hook of kind xdp has no match"),
        ("hook: socket-filter:dns, match: []", "match: expected 1 to 16 rules, not 0"),
        ("hook: socket-filter:dns, match: [{unit: dns.service}]", "match[0]: the key \"local\" is missing"),
        (
            "hook: socket-filter:dns, match: [{local: \"*:53\"}]",
            "match[0].local: \"*:53\": expected ADDRESS:PORT/udp or"
        ),
        ("hook: socket-filter:dns, match: [{local: \"::1:53/udp\"}]", "match[0].local: \"::1:53/udp\": expected"),
        ("hook: socket-filter:dns, match: [{local: \"*:0/udp\"}]", "match[0].local: \"*:0/udp\": expected"),
        (
            "hook: socket-filter:dns, match: [{local: \"*:53/udp\", cgroup: dns}]",
            "match[0].cgroup: \"dns\": expected a path"
        ),
        ("hook: socket-filter:dns, match: [{local: \"*:53/udp\", unit: /a}]", "match[0].unit: \"/a\": expected a unit"),
        ("hook: socket-filter:dns, match: [{local: \"*:53/udp\", port: 53}]", "match[0]: unknown key \"port\""),
    ])
    func rulesThatMeanNothing(_ chain: String, says: String) {
        let error = #expect(throws: APIErrorBody.self) {
            try parse("chains: [{\(chain), stages: [{name: a, plugin: noop}]}]")
        }
        #expect(error?.message.contains(says) == true, "\(error?.message ?? "-")")
    }

    @Test func defaultsAreTheSafeOnes() throws {
        let chain = try parse("chains: [{hook: xdp:eth0, stages: [{name: a, plugin: noop}]}]")[0]
        #expect(chain.mode == .native && chain.frags == nil && chain.counters && chain.onFault == .pass)
    }

    @Test func severalHooksHaveTheSameStages() throws {
        let chains = try parse(
            """
            chains:
              - hooks: [cgroup-connect4, cgroup-connect6, sockops]
                place: dns.service
                on-fault: drop
                stages: [{name: a, plugin: noop}]
              - hooks: ["xdp:eth0@edge", "tc-egress:eth0@edge"]
                mode: auto
                stages: [{name: a, plugin: noop}]
            """)
        #expect(
            chains.map(\.hook) == [
                "cgroup-connect4:dns.service", "cgroup-connect6:dns.service", "sockops:dns.service", "xdp:eth0@edge",
                "tc-egress:eth0@edge",
            ])
        #expect(chains.prefix(3).allSatisfy { $0.onFault == .drop && $0.stages == chains[0].stages })
        #expect(chains[4].mode == .auto)
    }

    @Test(arguments: [
        (
            "chains: [{hook: xdp:a, hooks: [xdp:b], stages: []}]",
            "chains[0].hooks: give \"hook\" or \"hooks\", not both"
        ),
        ("chains: [{hooks: [], stages: []}]", "chains[0].hooks: the list is empty"),
        ("chains: [{hook: xdp:a, place: b, stages: []}]", "chains[0].place: is for \"hooks\""),
        (
            "chains:\n  - hooks:\n    - sockops\n    - tcp\n    place: a.service\n    stages: [{name: a, plugin: a}]",
            "edge.yaml:4: chains[0].hooks[1]: hook \"tcp:a.service\": there is no hook kind \"tcp\""
        ),
        (
            "chains: [{hooks: [sockops, sockops], place: a.service, stages: [{name: a, plugin: a}]}]",
            "chains[0].hooks[1]: \"sockops:a.service\" is already the hook of another chain"
        ),
        (
            "chains: [{hooks: [xdp, sockops], place: a.service, mode: auto, stages: [{name: a, plugin: a}]}]",
            "chains[0].mode: a hook of kind sockops has no mode; leave it out"
        ),
        ("chains: 1", "edge.yaml:1: chains: expected a list"),
        ("chain: []", "edge.yaml:1: unknown key \"chain\"; known: chains"),
        ("chains: [{stages: []}]", "edge.yaml:1: chains[0]: the key \"hook\" is missing"),
        ("chains: [{hook: xdp:a, stages: [{plugin: a}]}]", "chains[0].stages[0]: the key \"name\" is missing"),
        (
            "chains: [{hook: xdp:a, mode: fast, stages: [{name: a, plugin: a}]}]",
            "chains[0].mode: \"fast\" is none of: native, generic, auto"
        ),
        (
            "chains: [{hook: xdp:a, frags: maybe, stages: [{name: a, plugin: a}]}]",
            "chains[0].frags: expected true, auto or false"
        ),
        ("chains: [{hook: xdp:a, hook: xdp:b, stages: []}]", "the key \"hook\" is there twice"),
        (
            "chains:\n  - hook: nowhere\n    stages: []",
            "edge.yaml:2: chains[0].hook: hook \"nowhere\": expected KIND:PLACE"
        ),
        ("a: &a [x, x]\nchains: *b", "not valid YAML"),
    ])
    func whatIsWrongIsNamedWithItsLine(text: String, message: String) {
        let error = #expect(throws: APIErrorBody.self) { try parse(text) }
        #expect(error?.code == "invalid-spec")
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test func aliasesCannotExplode() {
        var text = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            text += "b\(level): &a\(level) [" + (0..<10).map { _ in "*a\(level - 1)" }.joined(separator: ", ") + "]\n"
        }
        let spec =
            "chains:\n  - hook: xdp:eth0\n    stages:\n      - name: a\n        plugin: noop\n        config:\n"
            + text.split(separator: "\n").map { "          \($0)\n" }.joined()
        let error = #expect(throws: APIErrorBody.self) { try parse(spec) }
        #expect(error?.message.contains("too large") == true)
    }
}
