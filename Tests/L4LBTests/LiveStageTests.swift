// SPDX-License-Identifier: Apache-2.0

import StageKit
import StageTesting
import Testing

@testable import L4LB

@Suite("Changes of a live load balancer")
struct LiveStageTests {
    @Test func aServerLives() throws {
        var stage = try PlannedStage()
        #expect(try stage.state("edge2") == "active")
        #expect(
            try stage.change(["drain": ["edge2"]]) == [
                "edge2 drains: new connections go to the next of each ranking, where gue is used it keeps those it has"
            ])
        #expect(try stage.state("edge2") == "draining")
        try stage.change(["down": ["edge2"]])
        #expect(try stage.state("edge2") == "down")
        try stage.change(["fill": ["edge2"]])
        #expect(try stage.state("edge2") == "filling")
        try stage.change(["up": ["edge2"]])
        #expect(try stage.state("edge2") == "active")
        let row = try stage.inspect(["list": "servers"]).rows[0]
        #expect(row == ["edge1", 1, "192.0.2.11", "active", 100, 100, "web", 7, 700])
        #expect(try stage.inspect(["list": "servers"]).notes.isEmpty)
        #expect(
            try stage.inspect(["list": "servers"], unrouted: 3).notes[0].hasPrefix("3 packets were left to the kernel"))
        let service = try stage.inspect(["list": "services"]).rows[0]
        #expect(service == ["http", "198.51.100.10/32", "tcp", "80", "web", "gue", 4, 4, 9, 900])
    }

    @Test func whatMakesNoSenseIsRefused() throws {
        var stage = try PlannedStage(.sample(weights: [100, 50, 0]))
        try stage.change(["drain": ["edge1"]])
        try stage.change(["down": ["edge4"]])
        let refusals: [(JSON, String)] = [
            (["drain": ["edge9"]], #"drain[0]: the stage has no server "edge9"; `lb servers` shows those it has"#),
            (["drain": ["edge1"]], #"drain[0]: server "edge1" is draining already"#),
            (["up": ["edge2"]], #"up[0]: server "edge2" is active already"#),
            (["fill": ["edge2"], "up": ["edge2"]], "names a server twice"),
            (["down": ["edge4"]], #"down[0]: server "edge4" is down already"#),
            (["weight": ["edge2": 60]], "weight.edge2: 60 is more than the 50 that the configuration gives it"),
            (["weight": ["edge2": 50]], "weight.edge2: has this weight already"),
            (["weight": ["edge2": -1]], "weight.edge2: -1: expected 0 to 100"),
            (["weight": ["edge3": 1]], "weight.edge3: 1 is more than the 0 that the configuration gives it"),
            (["drain": ["edge2"], "down": ["edge2"]], "names a server twice"),
            ([:], "expected servers to drain, fill, take up or down, or to weigh"),
            (["drains": ["edge2"], "up": ["edge4"]], #"drains: unknown key; did you mean "drain"?"#),
            (["up": "edge4"], "up: expected a list, found the string \"edge4\""),
        ]
        for (request, expected) in refusals {
            let refusal = stage.refusal(request)
            #expect(refusal?.hasPrefix(expected) ?? false, "\(request): \(refusal ?? "done")")
        }
        #expect(stage.refusal(["drain": ["edge4"]])?.contains("is down and has no connections to keep") ?? false)
        // The last that takes new connections; one of weight 0 is none.
        #expect(stage.refusal(["drain": ["edge2"]]) == "no server would be left that takes new connections")
        #expect(stage.refusal(["weight": ["edge2": 0]]) == "no server would be left that takes new connections")
    }

    @Test func weightsArePartsOfTheConfiguredOne() throws {
        var stage = try PlannedStage(.sample(weights: [80]))
        #expect(
            try stage.change(["weight": ["edge1": 20]]) == [
                "edge1 has weight 20: new connections of 60 of 80 parts of its entries go to others, where gue is used it "
                    + "keeps those it has"
            ])
        let word = try #require(stage.words.values.first.map { $0.number(as: UInt64.self) })
        #expect(word & 0xffff == 8192)
        #expect(try stage.inspect(["list": "servers"]).rows[0][4] == 20)
        #expect(try stage.state("edge1") == "active")
        // Raised, it asks who had its entries first.
        #expect(try stage.change(["weight": ["edge1": 40]])[0].hasSuffix("; it fills until `lb up`"))
        #expect(try stage.state("edge1") == "filling")
        for weight in 1...79 where weight != 40 {
            try stage.change(["weight": ["edge1": .integer(Int64(weight))]])
            #expect(try stage.inspect(["list": "servers"]).rows[0][4] == .integer(Int64(weight)))
        }
    }

    @Test func checksAndOperatorsDoNotOverruleEachOther() throws {
        var stage = try PlannedStage()
        try stage.change(["drain": ["edge1"]])
        #expect(
            try stage.change(["health": ["up": [], "down": ["edge1", "edge2"]]]) == [
                "edge1 is down by its checks: it gets no packets", "edge2 is down by its checks: it gets no packets",
            ])
        #expect(try stage.state("edge1") == "draining, down (checks)")
        #expect(try stage.state("edge2") == "down (checks)")
        #expect(
            try stage.change(["health": ["up": ["edge1", "edge3"], "down": ["edge2"]]]) == [
                "edge1 is up by its checks, and stays draining"
            ])
        #expect(try stage.state("edge1") == "draining")
        #expect(
            try stage.change(["health": ["up": ["edge1"], "down": []]]) == [
                "nothing to change: all of that holds already"
            ])
        // By hand it is up until a check says otherwise.
        try stage.change(["up": ["edge2"]])
        #expect(try stage.state("edge2") == "active")
        // Without a check that could take it up again, it is told.
        try stage.change(["health": ["up": [], "down": ["edge4"]]])
        #expect(try stage.inspect(["list": "servers"]).notes.count == 1)
    }

    @Test func aServerBeginsAsConfigured() throws {
        var configuration = Configuration.sample()
        configuration.servers[2].state = .filling
        configuration.servers[3].state = .draining
        var stage = try PlannedStage(configuration)
        #expect(try stage.state("edge3") == "filling" && stage.state("edge4") == "draining")
        try stage.change(["up": ["edge4"]])
        #expect(try stage.state("edge4") == "active")
    }

    /// A number that another server had before: what was said about that one is not about this one.
    @Test func aWordIsOfOneServerOnly() throws {
        var stage = try PlannedStage()
        try stage.change(["drain": ["edge1"]])
        var other = Configuration.sample()
        other.servers[0].name = "edge9"
        other.pools[0].servers[0] = "edge9"
        let names = other.servers.map(\.name)
        let maps = [
            "servers": try other.plan().maps["servers"]!.entries,
            "servers_live": stage.words.map { MapEntry(key: $0.key, value: $0.value) },
        ]
        #expect(LiveServers(maps, names: names)["edge9"]?.word.wanted == .active)
    }

    @Test func aFlowIsExplained() throws {
        var stage = try PlannedStage()
        let flow: JSON = [
            "explain": [
                "protocol": "tcp", "source": "10.1.2.3", "source-port": 4000, "destination": "198.51.100.10",
                "destination-port": 80,
            ]
        ]
        let before = try stage.inspect(flow)
        #expect(before.columns == ["rank", "server", "state", "hop", "why"] && before.rows.count == 4)
        guard case .string(let first) = before.rows[0][1], case .string(let second) = before.rows[1][1] else {
            Issue.record("no names")
            return
        }
        #expect(before.rows[0][3] == 1 && before.rows[0][4] == "takes new flows")
        try stage.change(["drain": [.string(first)]])
        let after = try stage.inspect(flow)
        // The next one has it, and the one that drains is asked second.
        #expect(after.rows[0][2...4] == ["draining", 2, "drains: keeps flows it has"])
        #expect(after.rows[1][3] == 1)
        #expect(after.notes[1].hasPrefix("a packet goes to \(second) by gue, and on to \(first), then "))
        var elsewhere = flow
        if case .object(var object) = flow["explain"]! {
            object["destination-port"] = 81
            elsewhere = ["explain": .object(object)]
        }
        #expect(throws: StageError.self) { try stage.inspect(elsewhere) }
        #expect(throws: StageError.self) { try stage.inspect(["list": "rules"]) }
        #expect(throws: StageError.self) { try stage.inspect([:]) }
    }
}
