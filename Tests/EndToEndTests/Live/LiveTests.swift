// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    /// Rules that come and go while the stage is live.
    @Suite struct LiveTests {
        @Test func rulesAreAddedListedAndRemovedAtOnce() async throws {
            try await Lab.run { lab in
                let live = try LiveSite(lab)
                let site = live.site
                #expect(try live.dropped() == [9])
                let said = try site.must(
                    "rule", "add", "xdp:edge0", "live", "name: first, port: 7", #"{"port": 8, ttl: 5m}"#, "--ttl",
                    "10m",
                    "-m", "CHG-1")
                #expect(
                    said == """
                        xdp:edge0 live: generation 1
                          added rule first in slot 0 for 10m
                          added rule port-8 in slot 1 for 5m

                        """)
                #expect(try live.dropped() == [7, 8, 9])
                let event = try #require(try site.events().last)
                #expect(event.action == "change" && event.outcome == "done")
                #expect(event.author.contains("sluicectl rule add xdp:edge0 live"))
                #expect(
                    event.message == "stage \"live\" in generation 1: added rule first in slot 0 for 10m; "
                        + "added rule port-8 in slot 1 for 5m; message: CHG-1")
                #expect(try site.must("history", "xdp:edge0").contains("added rule first"))

                try site.must(
                    "rule", "add", "xdp:edge0", "live", "--first", "-f", "-", input: "- {name: last, port: 6}\n")
                #expect(try site.must("rule", "list", "xdp:edge0", "live").contains("note: 1 slots are free"))
                #expect(try live.names() == ["configured", "first", "port-8", "last"])
                // No generation was built.
                #expect(try site.history().count == 1)
                try site.must("rule", "remove", "xdp:edge0", "live", "first", "last")
                #expect(try live.dropped() == [8, 9])
                #expect(try live.names() == ["configured", "port-8"])
            }
        }

        @Test func hitsAndTheirTimesAreTold() async throws {
            try await Lab.run { lab in
                let live = try LiveSite(lab)
                let site = live.site
                try live.add("name: a, port: 7")
                func row(_ index: Int) throws -> [StatsValue] {
                    let stats: ChainStats = try site.decode(site.must("stats", "xdp:edge0", "-o", "json"))
                    return stats.stages[0].tables[0].rows[index].values
                }
                #expect(try row(0) == [0, .time(nil)])
                #expect(try site.must("stats", "xdp:edge0").contains("slot 0        0  never"))
                let before = Date()
                for _ in 0..<3 { #expect(try site.verdict(port: 7) == .drop) }
                let values = try row(0)
                #expect(values[0] == 3)
                guard case .time(let text?) = values[1] else { throw LabError("\(values)") }
                let time = try Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
                #expect(abs(time.timeIntervalSince(before)) < 60)
                #expect(try row(1) == [0, .time(nil)])
                let rows: [[String: JSONValue]] = try site.decode(
                    site.must("rule", "list", "xdp:edge0", "live", "-o", "json"))
                #expect(rows[1]["packets"] == 3)
                guard case .integer(let age)? = rows[1]["age"] else { throw LabError("\(rows)") }
                #expect((0...60).contains(age))
                // A rule that takes the slot anew begins at nothing, on each CPU.
                try site.must("rule", "remove", "xdp:edge0", "live", "a")
                try live.add("name: b, port: 8")
                #expect(try row(0) == [0, .time(nil)])
            }
        }

        @Test func refusalsChangeNothing() async throws {
            try await Lab.run { lab in
                let live = try LiveSite(lab)
                let site = live.site
                try live.add("name: a, port: 7")
                let before = try live.written()
                let cases: [(arguments: [String], says: String)] = [
                    (["add", "name: b, port: 0"], "add[0].port: 0: a port is 1 to 65535"),
                    (["add", "name: b, port: 8", "name: a, port: 9"], "add[1].name: there is a rule \"a\""),
                    (["add", "name: b, port: 8, prot: 9"], "add[0].prot: unknown key"),
                    (["add", "name: [b, port: 8"], "the rule \"name: [b, port: 8\": not valid YAML"),
                    (["add"], "give a rule, or -f"),
                    (["remove", "b"], "remove[0]: there is no rule \"b\""),
                    (["remove", "a", "b"], "remove[1]: there is no rule \"b\""),
                ]
                for (arguments, says) in cases {
                    let result = try site.ctl(
                        ["rule", arguments[0], "xdp:edge0", "live"] + arguments.dropFirst())
                    #expect(!result.succeeded && result.errors.contains(says), "\(arguments): \(result.errors)")
                }
                let stages: [(stage: String, says: String)] = [
                    ("none", "has no stage \"none\"; it has: live, last, theirs"),
                    ("last", "stage \"last\" (noop 1.0) takes no changes while it is live"),
                    ("theirs", "stage \"theirs\" is an adopted object"),
                ]
                let object = BuildProducts.object("firewall", of: "fixture-stage")
                try site.apply(
                    LiveSite.spec(
                        more: "      - {name: last, plugin: noop}\n"
                            + "      - {name: theirs, object: \"\(object)#firewall\"}\n"))
                for (stage, says) in stages {
                    let result = try site.ctl("rule", "add", "xdp:edge0", stage, "port: 8")
                    #expect(!result.succeeded && result.errors.contains(says), "\(stage): \(result.errors)")
                    #expect(try !site.ctl("rule", "list", "xdp:edge0", stage).succeeded)
                }
                #expect(try live.dropped() == [7, 9])
                #expect(try live.written() == before)
                let failed = try site.events().filter { $0.action == "change" && $0.outcome == "failed" }
                #expect(failed.count == 5 + stages.count)
                try site.must("detach", "xdp:edge0")
                #expect(
                    try site.ctl("rule", "list", "xdp:edge0", "live").errors
                        .contains("the chain is not in the kernel; apply it first"))
            }
        }

        @Test func whatAPluginAnswersIsNotBelieved() async throws {
            try await Lab.run { lab in
                let live = try LiveSite(lab)
                let client = SluiceClient(socket: live.site.socket)
                let cases: [(wrong: String, says: String)] = [
                    ("other-map", "\"sluice_counters\" is not one of the plan's live maps"),
                    ("bad-size", "has keys of 4 and values of 16 bytes, not 1 and 4"),
                    ("no-summary", "summary: at least one line is needed"),
                    ("too-many", "map \"live_ports\""),
                    ("crash", "before it answered \"change\""),
                ]
                for (wrong, says) in cases {
                    let rule: JSONValue = ["port": 7]
                    let request = StageChangeRequest(request: ["add": [rule], "wrong": .string(wrong)])
                    let error = try lab.await {
                        await #expect(throws: APIErrorBody.self) {
                            try await client.change("xdp:edge0", stage: "live", request)
                        }
                    }
                    #expect(error?.message.contains(says) == true, "\(wrong): \(String(describing: error))")
                    #expect(try live.dropped() == [9])
                }
                // Nothing is left of the one that failed half-way.
                let ports = try live.site.must("map", "dump", "xdp:edge0", "live", "live_ports", "-o", "json")
                let dump: MapDump = try live.site.decode(ports)
                #expect(dump.entries.map(\.key) == [9])
                #expect(try live.sql("SELECT count(*) FROM live_entry; SELECT count(*) FROM live_change") == "0\n0\n")
                try live.add("port: 7")
                #expect(try live.dropped() == [7, 9])
            }
        }

        @Test func aPlanKeepsItsTime() async throws {
            try await Lab.run { lab in
                let live = try LiveSite(lab)
                let before = Int64(Date().timeIntervalSince1970)
                let second = "      - {name: second, plugin: fixture-stage, config: {program: live}}\n"
                let plan = try live.site.ctl("plan", "-f", "-", input: LiveSite.spec(more: second)).output
                let time = try #require(plan.firstMatch(of: /planned at (\d+)/).flatMap { Int64($0.1) })
                #expect((before - 60...before + 60).contains(time))
                // The same plugin and configuration are not asked again, however late it is.
                Thread.sleep(forTimeInterval: 1.1)
                #expect(try live.site.must("plan", "-f", "-", input: LiveSite.spec()).contains("no changes"))
            }
        }
    }
}
