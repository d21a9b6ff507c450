// SPDX-License-Identifier: Apache-2.0

import Glibc
import SluiceAPI
import StageKit
import Testing

@testable import SluiceCore

@Suite struct PluginRunnerTests {
    /// The example of `docs/plugin-protocol.md`, that very file.
    @Test func runsTheExample() async throws {
        let folder = PluginsFolder()
        let source = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        let plugin = folder.install("pass", script: try text(of: "/\(source)/docs/examples/pass-plugin.sh"))
        PluginsFolder.write("", to: "\(plugin.path)/noop.bpf.o", mode: 0o644)
        let runner = folder.runner()
        #expect(try await runner.describe(plugin).summary == "hands every packet on")
        let plan = try await runner.plan(plugin)
        #expect(
            plan
                == StagePlan(
                    object: "noop.bpf.o", program: "noop", frags: false, verdicts: [.next], summary: ["all go on"]))
        let error = try await #require(throws: PluginError.self) { try await runner.plan(plugin, ["a": 1]) }
        #expect(error.description == "plugin \"pass\" 1.0: config: this plugin takes no configuration")
        #expect(APIErrorBody(error).code == "invalid-spec")
    }

    /// A plugin made with StageKit, under the limits that production has.
    @Test func runsSwiftPlugins() async throws {
        let folder = PluginsFolder()
        let plugin = try folder.install(built: "noop", "1.0")
        let runner = PluginRunner(user: folder.user)
        #expect(try await runner.plan(plugin, ["verdict": "drop"]).verdicts == [.drop])
        let error = try await #require(throws: PluginError.self) { try await runner.plan(plugin, ["verdic": "drop"]) }
        #expect(error.description == #"plugin "noop" 1.0: config: verdic: unknown key; did you mean "verdict"?"#)
    }

    @Test func takesConfigurationsLargerThanAPipe() async throws {
        let folder = PluginsFolder()
        let plugin = folder.install(
            script: """
                #!/bin/sh
                \(PluginsFolder.description)
                read -r line
                printf '{"sluice":1,"id":2,"result":{"object":"a.bpf.o","program":"p","verdicts":["next"],"summary":["%s"]}}\\n' ${#line}
                """)
        let long = String(repeating: "x", count: 300_000)
        let summary = try await folder.runner().plan(plugin, ["text": .string(long)]).summary
        #expect(try #require(Int(summary[0])) > 300_000)
    }

    @Test func asksForMigrations() async throws {
        let folder = PluginsFolder()
        let plugin = folder.install(
            script: """
                #!/bin/sh
                read -r line
                case $line in
                *'"map":"table"'*) echo '{"sluice":1,"id":1,"result":{"migration":"drop"}}' ;;
                *) echo '{"sluice":1,"id":1,"error":{"path":"map","message":"unknown map"}}' ;;
                esac
                """)
        let request = MigrationRequest(map: "table", fromVersion: "1.0", fromSchema: "a", toSchema: "b")
        #expect(try await folder.runner().migrate(plugin, request) == .drop)
        let other = MigrationRequest(map: "other", fromVersion: "1.0", fromSchema: "a", toSchema: "b")
        let error = try await #require(throws: PluginError.self) {
            try await folder.runner().migrate(plugin, other)
        }
        #expect(error.reason == .refused(request: "migrate", StageError("unknown map", at: "map")))
    }

    @Test(arguments: [
        (#"{"object":"../a.bpf.o","program":"p","verdicts":["next"]}"#, "object", "is not a plain file name"),
        (#"{"object":"b.bpf.o","program":"p","verdicts":["next"]}"#, "object", "is not a regular file of"),
        (#"{"object":"a.bpf.o","program":"p q","verdicts":["next"]}"#, "program", "is not a C name"),
        (#"{"object":"a.bpf.o","program":"p","verdicts":[]}"#, "verdicts", "at least one is needed"),
        (#"{"object":"a.bpf.o","program":"p","verdicts":["next"],"colour":1}"#, "result.colour", "unknown key"),
        (#"{"object":"a.bpf.o","program":"p"}"#, "result.verdicts", "required, but missing"),
        (
            #"{"object":"a.bpf.o","program":"p","verdicts":["next"],"summary":["\u001b[31m"]}"#, "summary[0]",
            "control or formatting"
        ),
        (
            #"{"object":"a.bpf.o","program":"p","verdicts":["next"],"samples":[{"name":"s","packet":"00","expect":"drop"}]}"#,
            "samples[0].packet", "1 bytes are not 14 to 9216"
        ),
        (
            #"{"object":"a.bpf.o","program":"p","verdicts":["next"],"maps":{"m":{"entries":[{"key":"00","value":"00"},{"key":"0000","value":"00"}]}}}"#,
            "maps.m.entries[1]", "not as long as"
        ),
        (
            #"{"object":"a.bpf.o","program":"p","verdicts":["next"],"maps":{"m-m":{}}}"#, "maps", "is not a C name"
        ),
        (
            #"{"object":"a.bpf.o","program":"p","verdicts":["next"],"counters":[{"name":"c","map":"m","columns":[],"rows":["a"]}]}"#,
            "counters[0].columns", "at least one"
        ),
        (
            #"{"object":"a.bpf.o","program":"p","verdicts":["next"],"counters":[{"name":"c","map":"m","columns":["a"],"times":["b"],"rows":["a"]}]}"#,
            "counters[0].times", #""b" is not one of its columns"#
        ),
        (#"{"object":"a.bpf.o","program":"p","verdicts":["next"],"live":["m","m"]}"#, "live", "is there twice"),
        (#"{"object":"a.bpf.o","program":"p","verdicts":["next"],"live":["m.m"]}"#, "live", "is not a C name"),
        (#"{"object":"a.bpf.o","program":"p","verdicts":["next"],"ring":"r.r"}"#, "ring", "is not a C name"),
        (#"{"object":"a.bpf.o","program":"p","verdicts":["next"],"ring":"r"}"#, "ring", "says that it never runs"),
        (#"{"object":"a.bpf.o","program":"p","verdicts":["next"],"runs":true}"#, "runs", "says that it never does"),
    ])
    func refusesBadPlans(plan: String, path: String, reason: String) async throws {
        let folder = PluginsFolder()
        let plugin = folder.install(plan: plan)
        let error = try await #require(throws: PluginError.self) { try await folder.runner().plan(plugin) }
        guard case .malformed("plan", path, let why) = error.reason else {
            Issue.record("\(error)")
            return
        }
        #expect(why.contains(reason))
        #expect(APIErrorBody(error).code == "plugin-failed")
    }

    @Test(arguments: [
        (#"{"updates":[{"map":"n","entries":[]}],"summary":["s"]}"#, "updates[0].map", "is not one of the plan's live"),
        (
            #"{"updates":[{"map":"m","entries":[{"key":"00","value":""}]}],"summary":["s"]}"#, "updates[0].entries[0]",
            "a key has 1 to 512 bytes"
        ),
        (#"{"updates":[],"summary":[]}"#, "summary", "at least one line is needed"),
        (#"{"updates":[],"summary":["a\u0007"]}"#, "summary[0]", "control or formatting"),
        (#"{"updates":[]}"#, "result.summary", "required, but missing"),
        (#"{"updates":[],"summary":["s"],"removals":[]}"#, "result.removals", "unknown key"),
    ])
    func refusesBadChanges(change: String, path: String, reason: String) async throws {
        let folder = PluginsFolder()
        let plugin = folder.install(answer: change)
        let request = ChangeRequest(context: PlanContext(hook: "xdp:eth0", stage: "a"), request: [:])
        let error = try await #require(throws: PluginError.self) {
            try await folder.runner().change(plugin, request, live: ["m"])
        }
        guard case .malformed("change", path, let why) = error.reason else {
            Issue.record("\(error)")
            return
        }
        #expect(why.contains(reason))
    }

    @Test(arguments: [
        (#"{"columns":[],"rows":[]}"#, "columns", "at least one is needed"),
        (#"{"columns":["a","a"],"rows":[]}"#, "columns", "is there twice"),
        (#"{"columns":["a"],"rows":[["b"],[1,2]]}"#, "rows[1]", "2 cells, but there are 1 columns"),
        (#"{"columns":["a"],"rows":[[true]]}"#, "rows[0][0]", "a string, an integer or null"),
        (#"{"columns":["a"],"rows":[["\u001b"]]}"#, "rows[0][0]", "no control or formatting"),
        (#"{"columns":["a"],"rows":[],"notes":[""]}"#, "notes[0]", "a text of 1 to 1000 bytes"),
    ])
    func refusesBadTables(table: String, path: String, reason: String) async throws {
        let folder = PluginsFolder()
        let plugin = folder.install(answer: table)
        let request = InspectRequest(
            configuration: [:], context: PlanContext(hook: "xdp:eth0", stage: "a"), request: [:])
        let error = try await #require(throws: PluginError.self) {
            try await folder.runner().inspect(plugin, request)
        }
        guard case .malformed("inspect", path, let why) = error.reason else {
            Issue.record("\(error)")
            return
        }
        #expect(why.contains(reason))
    }

    @Test(arguments: [
        (#"{"sluice":2,"id":1,"result":{}}"#, "speaks version 2 of the plugin protocol, the manager version 1"),
        (#"{"id":1,"result":{}}"#, "sluice: required, but missing"),
        ("Segmentation fault", "not valid JSON at line 1, column 1"),
        (#"{"sluice":1,"id":7,"result":{}}"#, "id: 7, but the request was 1"),
        (#"{"sluice":1,"id":1}"#, #"either "result" or "error" is needed"#),
        (#"{"sluice":1,"id":1,"result":{},"error":{"message":"x"}}"#, #"either "result" or "error" is needed"#),
        (
            #"{"sluice":1,"id":1,"result":{"name":"other","version":"1.0","summary":"s","hooks":["xdp"]}}"#,
            #"name: "other", but its folder says "probe""#
        ),
        (
            #"{"sluice":1,"id":1,"result":{"name":"probe","version":"1.1","summary":"s","hooks":["xdp"]}}"#,
            #"version: "1.1", but its folder says "1.0""#
        ),
        (
            #"{"sluice":1,"id":1,"result":{"name":"probe","version":"1.0","summary":"s","hooks":["lan"]}}"#,
            #"hooks[0]: the string "lan" is not one of "xdp""#
        ),
    ])
    func refusesBadAnswers(answer: String, message: String) async throws {
        let folder = PluginsFolder()
        let plugin = folder.install(script: "#!/bin/sh\necho '\(answer)'\n")
        let error = try await #require(throws: PluginError.self) { try await folder.runner().describe(plugin) }
        #expect(error.description.contains(message), "\(error)")
    }

    private func text(of path: String) throws -> String {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        return String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
    }
}
