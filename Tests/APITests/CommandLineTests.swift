// SPDX-License-Identifier: Apache-2.0

import Foundation
import ServiceLifecycle
import SluiceAPI
import Synchronization
import Testing

@testable import sluicectl

/// sluicectl as a process: exit status, what goes to stdout, what goes to stderr.
@Suite struct CommandLineTests {
    @Test func exitStatusOfPlan() async throws {
        try await ServerFixture.run { server async throws in
            let spec = server.directory.appending(path: "edge.yaml")
            try Data("chains: []\n".utf8).write(to: spec)
            let changes = try await server.sluicectl("plan", "-f", spec.path)
            #expect(changes.status == 2)
            #expect(changes.output == "xdp:eth0: would be updated\n  ~ stage dos: 1.0 -> 1.1\n  note: generic mode\n")
            #expect(changes.errors == "")
            #expect(server.manager.calls == ["plan \(spec.path): chains: []\n"])
        }
    }

    @Test func aFailureIsOneLineAndTheLogComesWithV() async throws {
        try await ServerFixture.run { server async throws in
            server.manager.fail(
                with: APIErrorBody(
                    code: "verifier-refused", message: "load stage \"dos\": the verifier refused it",
                    detail: "0: R1=ctx()"))
            let short = try await server.sluicectl("apply", "-f", "-", input: "chains: []")
            #expect(short.status == 1)
            #expect(short.output == "")
            #expect(
                short.errors
                    == "sluicectl: load stage \"dos\": the verifier refused it\n(-v shows the whole log)\n")
            let long = try await server.sluicectl("apply", "-v", "-f", "-", input: "chains: []")
            #expect(long.errors == "sluicectl: load stage \"dos\": the verifier refused it\n0: R1=ctx()\n")
        }
    }

    @Test func applySendsFileReasonAndReplace() async throws {
        try await ServerFixture.run { server async throws in
            let outcome = try await server.sluicectl(
                "apply", "-f", "-", "--message", "an attack", "--replace", "-v", input: "chains: []")
            #expect(outcome.status == 0)
            #expect(server.manager.calls == ["apply -: chains: [] an attack true"])
            #expect(
                outcome.output == """
                    xdp:eth0: generation 2 -> 3
                      built generation 3
                      STEP      MS
                      load   12.35
                      total  12.35

                    """)
        }
    }

    @Test func verbsReachTheirEndpoints() async throws {
        try await ServerFixture.run { server async throws in
            #expect(try await server.sluicectl("rollback", "xdp:eth0", "--to", "2", "--message", "r").status == 0)
            #expect(try await server.sluicectl("upgrade", "xdp:eth0", "dos", "--to", "1.1").status == 0)
            #expect(
                try await server.sluicectl(
                    "upgrade", "xdp:eth0", "dos", "--canary", "1%,10%", "--for", "5m", "--abort-if", "drop>+2%",
                    "--no-wait"
                ).status == 0)
            #expect(try await server.sluicectl("canary", "promote", "xdp:eth0", "-m", "r").status == 0)
            #expect(try await server.sluicectl("canary", "abort", "xdp:eth0").status == 0)
            #expect(try await server.sluicectl("detach", "xdp:eth0", "--message", "r", "--restore").status == 0)
            let adopt = "adopt xdp:eth0 f --object /x.o#p --proceed-on pass --proceed-on tx -m ours".split(
                separator: " ")
            let adopted = try await CommandRunner.run(
                adopt.map(String.init), socket: server.path, in: server.directory)
            #expect(adopted.status == 0)
            #expect(try await server.sluicectl("gc").status == 0)
            #expect(
                server.manager.calls == [
                    "rollback xdp:eth0 2 r", "upgrade xdp:eth0 dos 1.1",
                    "upgrade xdp:eth0 dos newest [1.0, 10.0] 300.0 [\"drop>+2%\"]", "promote xdp:eth0 r",
                    "abort xdp:eth0 ", "detach xdp:eth0 r true",
                    "adopt xdp:eth0 f /x.o#p [\"pass\", \"tx\"] ours", "gc",
                ])
        }
    }

    @Test func rulesAreReadAsSpecsAre() async throws {
        try await ServerFixture.run { server async throws in
            let rule = "source: 2001:db8::/32, protocol: udp, port: 53, ports: [1, 2-3], on: true, id: \"7\""
            let added = try await server.sluicectl(
                "rule", "add", "xdp:eth0", "dos", rule, " {ttl: 1m}", "-f", "-", "--ttl", "10m", "--first", "-m", "why",
                input: "- {until: 2026-11-25T18:00:00Z}\n- note: x\n")
            #expect(added.status == 0, "\(added.errors)")
            let rules: [JSONValue] = [
                [
                    "source": "2001:db8::/32", "protocol": "udp", "port": 53, "ports": [1, "2-3"], "on": true,
                    "id": "7",
                    "ttl": "10m",
                ],
                ["ttl": "1m"], ["until": "2026-11-25T18:00:00Z"], ["note": "x", "ttl": "10m"],
            ]
            let request: JSONValue = ["add": .array(rules), "first": true]
            #expect(try await server.sluicectl("rule", "remove", "xdp:eth0", "dos", "a", "b").status == 0)
            let listed = try await server.sluicectl("rule", "list", "xdp:eth0", "dos", "-o", "json")
            #expect(
                try JSONDecoder().decode([JSONValue].self, from: Data(listed.output.utf8))
                    == [
                        ["rule": "x", "packets": 1234, "last": "2026-01-02T03:04:05Z"],
                        ["rule": "y", "packets": .unsigned(.max), "last": .null],
                    ])
            // Members of an object have no order that a text could be held against.
            let calls = server.manager.asked
            #expect(calls == [request, ["remove": ["a", "b"]], ["list": "rules"]])
            #expect(server.manager.calls[0].hasSuffix("message: \"why\")"))
            for wrong in [["rule", "add", "xdp:eth0", "dos"], ["rule", "remove", "xdp:eth0", "dos"]] {
                let outcome = try await CommandRunner.run(wrong, socket: server.path, in: server.directory)
                #expect(outcome.status == 64)
            }
            let bad = try await server.sluicectl("rule", "add", "xdp:eth0", "dos", "-f", "-", input: "a: b\n")
            #expect(bad.status == 1 && bad.errors == "sluicectl: -: expected a YAML list of rules\n")
            #expect(server.manager.calls.count == 3)
        }
    }

    @Test func serversAreSeenAndChanged() async throws {
        try await ServerFixture.run { server async throws in
            for verb in ["drain", "fill", "down", "up"] {
                let outcome = try await server.sluicectl("lb", verb, "xdp:eth0", "lb", "edge1", "edge2", "-m", "why")
                #expect(outcome.status == 0 && outcome.output.contains("added rule x"), "\(outcome.errors)")
            }
            #expect(try await server.sluicectl("lb", "weight", "xdp:eth0", "lb", "edge1", "50").status == 0)
            for list in ["servers", "services"] {
                #expect(try await server.sluicectl("lb", list, "xdp:eth0", "lb", "-o", "json").status == 0)
            }
            let explained = try await server.sluicectl(
                "lb", "explain", "xdp:eth0", "lb", "udp", "[2001:db8::1]:4000", "192.0.2.1:53")
            #expect(explained.status == 0, "\(explained.errors)")
            let names: JSONValue = ["edge1", "edge2"]
            #expect(
                server.manager.asked == [
                    ["drain": names], ["fill": names], ["down": names], ["up": names], ["weight": ["edge1": 50]],
                    ["list": "servers"], ["list": "services"],
                    [
                        "explain": [
                            "protocol": "udp", "source": "2001:db8::1", "source-port": 4000,
                            "destination": "192.0.2.1", "destination-port": 53,
                        ]
                    ],
                ])
            #expect(server.manager.calls[0].hasSuffix("message: \"why\")"))
            for wrong in [
                ["drain", "xdp:eth0", "lb"], ["weight", "xdp:eth0", "lb", "edge1", "x"],
                ["explain", "xdp:eth0", "lb", "icmp", "192.0.2.1:1", "192.0.2.2:1"],
                ["explain", "xdp:eth0", "lb", "tcp", "2001:db8::1:80", "192.0.2.2:1"],
                ["explain", "xdp:eth0", "lb", "tcp", "192.0.2.1", "192.0.2.2:1"],
            ] {
                let outcome = try await CommandRunner.run(["lb"] + wrong, socket: server.path, in: server.directory)
                #expect(outcome.status == 64)
            }
        }
    }

    @Test func doctorFailsWhenUnhealthy() async throws {
        try await ServerFixture.run { server async throws in
            let outcome = try await server.sluicectl("doctor")
            #expect(outcome.status == 1)
            #expect(
                outcome.output
                    == "ok       kernel: 6.18\nproblem  xdp:eth0: nothing is attached\n         apply the spec again\n")
        }
    }

    @Test func jsonDecodesToWhatTheManagerSaid() async throws {
        try await ServerFixture.run { server async throws in
            server.manager.emit(Samples.event(1))
            func decode<Answer: Decodable>(_ type: Answer.Type, _ arguments: [String]) async throws -> Answer {
                let outcome = try await CommandRunner.run(
                    arguments + ["--output", "json"], socket: server.path, in: server.directory)
                return try JSONDecoder().decode(type, from: Data(outcome.output.utf8))
            }
            #expect(try await decode([ChainStatus].self, ["status"]) == [Samples.chain, Samples.emptyChain])
            let all = try await decode(Overview.self, ["status", "--all"])
            #expect(all.chains == [Samples.chain, Samples.emptyChain])
            #expect(all.programs == Samples.programs.programs && all.notes == Samples.programs.notes)
            #expect(try await decode(ChainStatus.self, ["status", "xdp:eth0"]) == Samples.chain)
            #expect(try await decode([GenerationRecord].self, ["history", "xdp:eth0"]) == [Samples.generation])
            #expect(try await decode(ChainStats.self, ["stats", "xdp:eth0"]) == Samples.stats)
            #expect(try await decode([PluginInfo].self, ["plugins"]) == [Samples.plugin])
            #expect(try await decode([Event].self, ["events"]) == [Samples.event(1)])
            #expect(try await decode(DoctorReport.self, ["doctor"]) == Samples.doctor)
            #expect(try await decode(ChangeReport.self, ["rollback", "xdp:eth0"]) == Samples.change)
            #expect(try await decode(PlanReport.self, ["plan", "-f", "-"]) == Samples.plan)
            #expect(try await decode(GCReport.self, ["gc"]) == Samples.garbage)
        }
    }

    @Test func yaml() async throws {
        try await ServerFixture.run { server async throws in
            let outcome = try await server.sluicectl("gc", "-o", "yaml")
            #expect(outcome.output == "removed:\n- artifact abcd\n")
        }
    }

    @Test(.timeLimit(.minutes(1))) func followPrintsEachEventUntilTheDaemonStops() async throws {
        try await ServerFixture.run { server async throws in
            server.manager.emit(Samples.event(1))
            async let outcome = server.sluicectl("events", "--follow", "--since", "0", "-o", "json")
            try await server.manager.waitForListeners(1)
            server.manager.emit(Samples.event(2, "rollback", outcome: "failed"))
            try await Task.sleep(for: .milliseconds(100))
            await server.group.triggerGracefulShutdown()
            let lines = try await outcome.output.split(separator: "\n")
            let events = try lines.map { try JSONDecoder().decode(Event.self, from: Data($0.utf8)) }
            #expect(events == [Samples.event(1), Samples.event(2, "rollback", outcome: "failed")])
            #expect(try await outcome.status == 0)
        }
    }

    @Test func statsOfOneStageAndOfNone() async throws {
        try await ServerFixture.run { server async throws in
            let one = try await server.sluicectl("stats", "xdp:eth0", "--stage", "dos")
            #expect(one.status == 0)
            #expect(!one.output.contains("balancer"))
            let none = try await server.sluicectl("stats", "xdp:eth0", "--stage", "nat")
            #expect(none.status == 1)
            #expect(
                none.errors == "sluicectl: chain xdp:eth0 has no stage \"nat\"; it has \"dos\", \"balancer\"\n")
        }
    }

    @Test(arguments: [
        [], ["frobnicate"], ["plan"], ["apply", "-f"], ["status", "a", "b"], ["status", "a", "--all"],
        ["adopt", "xdp:eth0", "f"], ["upgrade", "xdp:eth0"],
        ["rollback", "xdp:eth0", "--to", "x"], ["stats", "xdp:eth0", "--watch", "0"], ["events", "--since=-1"],
        ["status", "-o", "xml"],
    ])
    func wrongUsageIs64(arguments: [String]) async throws {
        let directory = FileManager.default.temporaryDirectory
        let outcome = try await CommandRunner.run(arguments, socket: "/nonexistent", in: directory)
        // Without any argument it shows the help, as everybody's does.
        #expect(outcome.status == (arguments.isEmpty ? 0 : 64))
        #expect((outcome.output + outcome.errors).contains(arguments.isEmpty ? "OVERVIEW: " : "Usage: sluicectl"))
    }

    @Test func aDaemonThatIsNotThere() async throws {
        let outcome = try await CommandRunner.run(
            ["status"], socket: "/nonexistent/s", in: FileManager.default.temporaryDirectory)
        #expect(outcome.status == 1)
        #expect(
            outcome.errors
                == "sluicectl: cannot reach sluiced at \"/nonexistent/s\": No such file or directory; is it running? "
                + "systemctl start sluiced.socket\n")
    }

    @Test func aSpecThatIsNotThere() async throws {
        let outcome = try await CommandRunner.run(
            ["plan", "-f", "/nonexistent.yaml"], socket: "/nonexistent/s", in: FileManager.default.temporaryDirectory)
        #expect(outcome.status == 1)
        #expect(outcome.errors == "sluicectl: read \"/nonexistent.yaml\": No such file or directory\n")
    }

    @Test(arguments: ["bash", "zsh", "fish"]) func completions(shell: String) async throws {
        let outcome = try await CommandRunner.run(
            ["--generate-completion-script", shell], in: FileManager.default.temporaryDirectory)
        #expect(outcome.status == 0)
        for command in ["rollback", "doctor", "gc"] { #expect(outcome.output.contains(command)) }
    }
}
