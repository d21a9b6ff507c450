// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing
import VolumetricDoS

/// A stage that is changed while it is live, as the manager has it done.
private struct LiveStage {
    let stage: StageUnderTest
    let configuration: Configuration

    init(_ configuration: Configuration = Configuration()) throws {
        self.configuration = configuration
        stage = try .version1_0(configuration)
    }

    func context(_ ahead: Int64 = 0) -> PlanContext {
        var (tai, real, monotonic) = (timespec(), timespec(), timespec())
        clock_gettime(11, &tai)
        clock_gettime(CLOCK_REALTIME, &real)
        clock_gettime(CLOCK_MONOTONIC, &monotonic)
        return PlanContext(
            hook: "xdp:eth0", stage: "dos", time: Int64(real.tv_sec) + ahead,
            taiOffset: Int64(tai.tv_sec) - Int64(real.tv_sec),
            monotonic: UInt64(monotonic.tv_sec) * 1_000_000_000 + UInt64(monotonic.tv_nsec), cpus: stage.possibleCPUs)
    }

    @discardableResult
    func change(_ request: JSON, ahead: Int64 = 0) throws -> [String] {
        let change = try LiveRules.change(
            ChangeRequest(
                context: context(ahead), request: request, labels: stage.labels, maps: stage.liveMaps()))
        try stage.make(change)
        return change.summary
    }

    func list() throws -> [[JSON]] {
        let counters = try [
            "rules": stage.labels["rules", default: []].map { name in
                try ["packets", "bytes", "dry-run", "last"].map { try stage.counter("rules", name, $0) ?? 0 }
            }
        ]
        return try LiveRules.inspect(
            InspectRequest(
                configuration: JSON(encoding: configuration), context: context(), request: ["list": "rules"],
                labels: stage.labels, maps: stage.liveMaps(), counters: counters)
        ).rows
    }

    func verdict(_ frame: [UInt8] = datagram()) throws -> Verdict? { try stage.run(frame).verdict }
}

private func datagram(from source: IPAddress = "10.0.0.1", to port: UInt16 = 2) -> [UInt8] {
    Packet.bytes(.ethernet(), .ipv4(from: source, to: "10.0.0.2"), .udp(from: 1, to: port), .payload(18))
}

@Suite("Rules of a live stage", .enabled(if: getuid() == 0, mayLoadPrograms))
struct LiveRuleTests {
    /// Random rules, added one by one or several at a time, against the plain matcher.
    @Test(arguments: 0..<4)
    func matchWhatTheirConditionsSay(batch: Int) throws {
        for number in 0..<5 {
            let seed = UInt64(batch * 5 + number) + 500_000
            var random = SeededGenerator(seed: seed)
            var rules = (0..<random.number(1...20)).map { _ in random.rule() }
            for index in rules.indices {
                rules[index].name = "r\(index)"
                // What asks for nothing cannot be written.
                if rules[index].tcpFlags == FlagsMatch(set: []) { rules[index].tcpFlags = nil }
            }
            rules.removeAll { (try? Configuration(rules: [$0]).plan()) == nil }
            let live = try LiveStage(Configuration(rules: [Rule(name: "last", protocol: .udp)]))
            let split = random.number(0...rules.count)
            for part in [rules[..<split], rules[split...]] where !part.isEmpty {
                try live.change(["add": .array(part.map { try JSON(encoding: $0) })])
            }
            let all = Configuration(rules: rules + live.configuration.rules)
            for _ in 0..<200 {
                let frame = random.frame()
                guard case .packet(let facts, _) = Parsed(frame) else { continue }
                let action = all.decidingRule(facts).map { all.rules[$0].action }
                #expect(
                    try live.verdict(frame) == (action == .drop ? .drop : .next),
                    "seed \(seed), \(rules), frame \(Bytes(frame).hex)")
            }
        }
    }

    @Test func areAddedListedAndRemoved() throws {
        let live = try LiveStage(Configuration(rules: [Rule(name: "base", destinationPort: NumberSet(9, 9))]))
        #expect(try live.verdict() == .next)
        #expect(
            try live.change(["add": [["source": "10.0.0.0/24", "protocol": "udp"]]])
                == [#"added rule "live-1": drop: from 10.0.0.0/24, protocol udp"#])
        #expect(try live.verdict() == .drop)
        try live.change(["add": [["name": "friend", "source": "10.0.0.1", "action": "pass"]], "first": true])
        #expect(try live.verdict() == .next)
        #expect(
            try live.list().map { Array($0[..<3]) } == [
                ["friend", "live", "pass"], ["live-1", "live", "drop"], ["base", "config", "drop"],
            ])
        let friend = try live.list()[0]
        #expect(friend[5] == .integer(1) && friend[6] == .integer(60) && friend[8] != .null)
        #expect(
            try live.change(["remove": ["friend", "base"]]) == [
                #"removed rule "friend""#, #"removed rule "base""#,
            ])
        #expect(try live.verdict() == .drop)
        #expect(try live.verdict(datagram(from: "10.9.0.1", to: 9)) == .next)
        #expect(try live.list().map { [$0[0], $0[4]] } == [["live-1", .null], ["base", "removed"]])
    }

    @Test func endByThemselves() throws {
        let live = try LiveStage()
        try live.change(["add": [["name": "short", "source": "10.0.0.1", "ttl": "60s"]]])
        #expect(try live.verdict() == .drop)
        // The same rule again lives on from now, in one place only.
        try live.change(["add": [["name": "short", "source": "10.0.0.1", "ttl": "3600s"]]], ahead: 1)
        #expect(try live.list().count == 1)
        #expect(try live.verdict() == .drop)
        // As if it had been added an hour ago.
        try live.change(["add": [["name": "short", "source": "10.0.0.1", "ttl": "3600s"]]], ahead: -3601)
        #expect(try live.verdict() == .next)
        #expect(try live.list().isEmpty)
        // What is over makes room for what comes.
        try live.change(["add": [["name": "short", "source": "10.0.0.1"]]])
        #expect(try live.verdict() == .drop)
        #expect(try live.list().map { $0[0] } == ["short"])
    }

    @Test func outliveTheirGeneration() throws {
        let old = try LiveStage()
        try old.change(["add": [["source": "10.0.0.1"]]])
        let new = try StageUnderTest.version1_1(Configuration1_1(), after: old.stage)
        #expect(try new.run(datagram()).verdict == .drop)
        #expect(try new.run(datagram(from: "10.0.0.2")).verdict == .next)
    }

    @Test func haveLimitsAndDryRunToo() throws {
        let live = try LiveStage()
        try live.change([
            "add": [
                ["name": "trial", "protocol": "udp", "dry-run": true],
                ["name": "held", "protocol": "udp", "limit": ["packets-per-second": 1, "burst": 10]],
            ]
        ])
        try live.stage.run(datagram(), repeat: 100)
        let passed = try live.stage.count(.next)
        #expect((10...13).contains(passed))
        let rows = try live.list()
        #expect(rows[0][7] == .integer(100) && rows[0][5] == .integer(0))
        #expect(rows[1][5] == .integer(Int64(100 - passed)))
        #expect(rows[1][2] == "limit all packets together to 1 packets a second, 10 at once")
    }

    @Test func areAtMostSoMany() throws {
        let live = try LiveStage()
        let rule: (Int) -> JSON = { ["name": .string("r\($0)"), "source": .string("10.1.\($0).1")] }
        try live.change(["add": .array((0..<256).map(rule))])
        #expect(try live.verdict(datagram(from: "10.1.255.1")) == .drop)
        #expect(throws: StageError.self) { try live.change(["add": [["source": "10.0.0.1"]]]) }
        try live.change(["remove": ["r7"]])
        // A packet may still look at the place.
        let error = #expect(throws: StageError.self) { try live.change(["add": [["source": "10.0.0.1"]]]) }
        #expect(error?.message == "all places for rules are in use or were until now; try again in 2 seconds")
        try live.change(["add": [["source": "10.0.0.1"]]], ahead: 2)
        #expect(try live.verdict() == .drop)
        #expect(try live.verdict(datagram(from: "10.1.7.1")) == .next)
    }

    static let mistakes: [(JSON, String)] = [
        ([:], "expected rules to add, or names to remove"),
        (["remove": ["x"]], #"remove[0]: the stage has no rule "x"; `rule list` shows those it has"#),
        (["add": [["source": "10.0.0.0/33"]]], #"add[0].source: "10.0.0.0/33": a prefix length of IPv4 is 0 to 32"#),
        (
            ["add": [["protocol": 6], ["protocol": 6, "until": "2020-01-01T00:00:00Z"]]],
            "add[1].until: 2020-01-01T00:00:00Z has passed: the rule would never match"
        ),
        (["add": [["name": "base", "protocol": 6]]], #"add[0].name: "base" is another rule's name"#),
        (
            ["add": [["source-port": "1,3,5,7,9"]]],
            "add[0]: has a condition of more than 4 ranges; put the rule into the configuration, or add several"
        ),
    ]

    @Test(arguments: mistakes)
    func mistakesAreNamedAndChangeNothing(request: JSON, message: String) throws {
        let live = try LiveStage(Configuration(rules: [Rule(name: "base", destinationPort: NumberSet(9, 9))]))
        let error = #expect(throws: StageError.self) { try live.change(request) }
        #expect(error?.description == message)
    }
}
