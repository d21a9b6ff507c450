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

    @Test func defaultsAreTheSafeOnes() throws {
        let chain = try parse("chains: [{hook: xdp:eth0, stages: [{name: a, plugin: noop}]}]")[0]
        #expect(chain.mode == .native && chain.frags == nil && chain.counters && chain.onFault == .pass)
    }

    @Test(arguments: [
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
