// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    /// What cannot work is refused with one clear error that names the thing and the remedy, and changes nothing.
    @Suite struct RefusalTests {
        struct Case: Sendable, CustomTestStringConvertible {
            var name: String
            var spec: String
            /// What the error must say: what it is about, and what to do.
            var says: [String]
            var testDescription: String { name }
        }

        private static func stages(_ lines: String, hook: String = "xdp:edge0") -> String {
            "chains:\n  - hook: \(hook)\n    stages:\n"
                + lines.split(separator: "\n").map { "      - \($0)\n" }.joined()
        }

        private static func misbehaving(_ how: String) -> String {
            stages("{name: bad, plugin: fixture-stage, config: {misbehave: \(how)}}")
        }

        static let specs: [Case] = [
            Case(
                name: "unknown key", spec: "chains:\n  - hook: xdp:edge0\n    stage: []\n",
                says: [
                    "-:3", "unknown key \"stage\"",
                    "known: hook, hooks, place, netns, mode, frags, counters, on-fault, match, stages",
                ]),
            Case(name: "no YAML", spec: "chains: [", says: ["not valid YAML"]),
            Case(name: "no chains", spec: "", says: ["the spec is empty"]),
            Case(
                name: "unknown key of the plugin",
                spec: stages("{name: dos, plugin: volumetric-dos, config: {alow: []}}"),
                says: ["stage \"dos\"", "alow", "allow"]),
            Case(
                name: "bad prefix",
                spec: stages("{name: dos, plugin: volumetric-dos, config: {rules: [{source: 10.0.0.0/33}]}}"),
                says: ["stage \"dos\"", "rules[0].source", "10.0.0.0/33", "0 to 32"]),
            Case(
                name: "two stages of one name", spec: stages("{name: a, plugin: noop}\n{name: a, plugin: noop}"),
                says: ["chains[0].stages[1].name", "\"a\" is already the name of another stage"]),
            Case(
                name: "two chains on one hook",
                spec: stages("{name: a, plugin: noop}") + "  - {hook: xdp:edge0, stages: [{name: a, plugin: noop}]}\n",
                says: ["chains[1].hook", "\"xdp:edge0\" is already the hook of another chain"]),
            Case(
                name: "missing plugin", spec: stages("{name: a, plugin: no-such}"),
                says: ["stage \"a\"", "\"no-such\"", "install"]),
            Case(
                name: "missing version", spec: stages("{name: a, plugin: volumetric-dos, version: \"7.0\"}"),
                says: ["stage \"a\"", "7.0", "1.1", "1.0"]),
            Case(name: "33 stages", spec: Site.noops(33), says: ["1 to 32 stages", "33"]),
            Case(name: "no stages", spec: "chains:\n  - {hook: xdp:edge0, stages: []}\n", says: ["1 to 32 stages"]),
            Case(
                name: "unknown hook kind", spec: stages("{name: a, plugin: noop}", hook: "warp:edge0"),
                says: ["there is no hook kind \"warp\"", "xdp"]),
            Case(
                name: "bad stage name", spec: stages("{name: a/b, plugin: noop}"), says: ["\"a/b\"", "letters, digits"]),
            Case(
                name: "no such interface", spec: stages("{name: a, plugin: noop}", hook: "xdp:nowhere0"),
                says: ["xdp:nowhere0", "there is no interface \"nowhere0\"", "create it"]),
            Case(
                name: "no such namespace", spec: stages("{name: a, plugin: noop}", hook: "xdp:eth9@nowhere"),
                says: ["/run/netns/nowhere", "ip netns add"]),
            Case(
                name: "root settings of a live chain",
                spec: "chains:\n  - hook: xdp:edge0\n    on-fault: drop\n    stages: [{name: a, plugin: noop}]\n",
                says: ["`on-fault` is fixed", "detach"]),
            Case(
                name: "refused by the verifier",
                spec: stages("{name: bad, plugin: fixture-stage, config: {program: refused}}"),
                says: ["stage \"bad\"", "\"refused\"", "the verifier says"]),
            Case(
                name: "a stage of another hook", spec: stages("{name: bad, plugin: egress-only}"),
                says: ["stage \"bad\"", "egress-only", "tc-egress", "xdp"]),
        ]

        static let misbehaviours: [Case] = [
            Case(name: "crash", spec: misbehaving("crash"), says: ["fixture-stage", "signal"]),
            Case(name: "exit", spec: misbehaving("exit"), says: ["fixture-stage", "3"]),
            Case(name: "hang", spec: misbehaving("hang"), says: ["fixture-stage", "seconds"]),
            Case(name: "flood", spec: misbehaving("flood"), says: ["fixture-stage"]),
            Case(name: "garbage", spec: misbehaving("garbage"), says: ["fixture-stage", "JSON"]),
            Case(name: "wrong protocol", spec: misbehaving("wrong-protocol"), says: ["fixture-stage", "99", "1"]),
            Case(
                name: "refused configuration", spec: misbehaving("refuse"), says: ["misbehave", "refused on request"]),
            Case(
                name: "unknown map", spec: misbehaving("unknown-map"),
                says: ["asks for the map \"no_such_map\"", "marks"]),
            Case(name: "unknown constant", spec: misbehaving("unknown-constant"), says: ["no_such_constant"]),
            Case(name: "unknown program", spec: misbehaving("unknown-program"), says: ["no_such_program", "stamp"]),
            Case(
                name: "reserved constant", spec: misbehaving("reserved-constant"),
                says: ["sluice_next", "the manager's"]),
            Case(name: "reserved map", spec: misbehaving("bad-entry"), says: ["sluice_counters"]),
            Case(name: "contents of a state map", spec: misbehaving("state-entry"), says: ["state map \"marks\""]),
            Case(name: "missing object", spec: misbehaving("bad-object"), says: ["no_such_object.bpf.o"]),
            Case(name: "object outside of its folder", spec: misbehaving("escape"), says: ["../"]),
            Case(
                name: "sample that fails", spec: misbehaving("bad-sample"), says: ["preflight", "any packet", "drop"]),
            Case(name: "short sample", spec: misbehaving("short-sample"), says: ["samples[0].packet", "14"]),
            Case(name: "counters nowhere", spec: misbehaving("bad-counters"), says: ["no_such_map"]),
            Case(name: "records from no ring", spec: misbehaving("bad-ring"), says: ["\"marks\"", "ring buffers"]),
            Case(
                name: "live map nowhere", spec: misbehaving("live-no-map"),
                says: ["\"no_such_map\" is changed while live"]),
            Case(
                name: "live map of another type", spec: misbehaving("live-bad-type, program: tables"),
                says: ["\"remembered\" is changed while live; a lru_hash cannot be"]),
            Case(
                name: "live map that is frozen", spec: misbehaving("live-frozen, program: live"),
                says: ["\"live_ports\" is changed while live, and freezes it"]),
        ]

        @Test func badSpecsAndPluginsChangeNothing() async throws {
            let all = Self.specs + Self.misbehaviours
            let parts = stride(from: 0, to: all.count, by: 15).map { all[$0..<min($0 + 15, all.count)] }
            try await atOnce(parts) { part in
                try await Lab.run { lab in try Self.expectRefused(part, in: Site(lab)) }
            }
        }

        private static func expectRefused(_ refusals: some Sequence<Case>, in site: Site) throws {
            try installEgressOnly(site)
            try site.start()
            try site.apply(Site.dropping(port: 7))
            let before = try site.snapshot()
            for refusal in refusals {
                for verb in ["plan", "apply"] {
                    let result = try site.ctl(verb, "-f", "-", input: refusal.spec)
                    // Only apply loads programs and runs samples.
                    if verb == "plan",
                        ["refused by the verifier", "sample that fails", "unknown constant"].contains(refusal.name)
                    {
                        continue
                    }
                    #expect(result.status == .exited(1), "\(verb), \(refusal.name)")
                    for text in refusal.says {
                        #expect(
                            result.errors.contains(text),
                            "\(verb), \(refusal.name): wants '\(text)' in: \(result.errors)")
                    }
                    #expect(
                        result.errors.split(separator: "\n").count <= 3,
                        "\(refusal.name): one error, not a story: \(result.errors)")
                    #expect(try site.snapshot() == before, "\(verb), \(refusal.name) left something behind")
                }
            }
            #expect(try site.verdict(port: 7) == .drop)
        }

        @Test func theVerifiersLogIsShownWhole() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                let log = try site.ctl(
                    "apply", "-v", "-f", "-", input: Self.specs.first { $0.name == "refused by the verifier" }!.spec)
                #expect(log.errors.contains("processed "), "\(log.errors)")
            }
        }

        @Test func aForeignProgramIsOnlyReplacedWhenTold() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                let object = BuildProducts.object("noop", of: "noop")
                try lab.check(["ip", "link", "set", "dev", "edge0", "xdpdrv", "object", object, "section", "xdp"])
                let refused = try site.ctl("apply", "-f", "-", input: Site.noops(1))
                #expect(refused.status == .exited(1))
                #expect(refused.errors.contains("already runs program"))
                #expect(refused.errors.contains("--replace"))
                #expect(try lab.check(["ip", "link", "show", "edge0"]).contains("xdp"))
                #expect(try site.pins().isEmpty)
                let replaced = try site.must("apply", "-f", "-", "--replace", input: Site.noops(1))
                #expect(replaced.contains("replaced program"))
                #expect(try site.verdict(port: 7) == .pass)
            }
        }

        @Test func aDriverWithoutNativeModeIsToldAbout() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                // The lab's own loopback; its driver knows only generic XDP.
                let native = try site.ctl("apply", "-f", "-", input: Site.noops(1, hook: "xdp:lo"))
                #expect(native.status == .exited(1))
                #expect(native.errors.contains("no native XDP") && native.errors.contains("mode: auto"))
                #expect(try site.pins().isEmpty)
                let auto = try site.must(
                    "apply", "-f", "-", input: Site.noops(1, hook: "xdp:lo", extra: "    mode: auto\n"))
                #expect(auto.contains("generic mode"))
                #expect(try site.status("xdp:lo").mode == "generic")
                #expect(try site.status("xdp:lo").notes.contains { $0.contains("generic mode") })
            }
        }

        @Test func bigFramesNeedFrags() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try lab.addVeth("jumbo0", VethEnd("jumbo1", netns: "client"), mtu: 9000)
                let without = try site.ctl(
                    "apply", "-f", "-", input: Site.noops(1, hook: "xdp:jumbo0", extra: "    frags: false\n"))
                #expect(without.status == .exited(1))
                #expect(without.errors.contains("frags: true"))
                try site.apply(Site.noops(2, hook: "xdp:jumbo0"))
                #expect(try site.status("xdp:jumbo0").mode == "native")
            }
        }

        /// A plugin in another language, for a hook that is not XDP.
        private static func installEgressOnly(_ site: Site) throws {
            let folder = "\(site.plugins)/egress-only/1.0"
            let script = """
                #!/bin/sh
                read -r request
                echo '{"sluice":1,"id":1,"result":{"name":"egress-only","version":"1.0","summary":"x","hooks":["tc-egress"],"runs":false}}'
                read -r request
                echo '{"sluice":1,"id":2,"result":{"object":"none.bpf.o","program":"none","verdicts":["next"]}}'
                """
            try site.lab.check(["mkdir", "-p", folder])
            try site.lab.check(
                ["sh", "-c", "cat > \(folder)/egress-only && chmod 755 \(folder)/egress-only"], input: script + "\n")
        }
    }
}
