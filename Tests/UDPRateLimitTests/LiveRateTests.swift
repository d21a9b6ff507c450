// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing
import UDPRateLimit

/// A stage that is changed while it is live, as the manager has it done.
private struct LiveStage {
    let stage: StageUnderTest
    let configuration: Configuration

    init(_ configuration: Configuration, at hook: HookKind, after earlier: LiveStage? = nil) throws {
        self.configuration = configuration
        stage = try .udp(configuration, at: hook, after: earlier?.stage)
    }

    @discardableResult
    func change(_ request: JSON, ahead: Int64 = 0) throws -> [String] {
        let change = try LiveRates.change(
            ChangeRequest(
                context: context(cpus: stage.possibleCPUs, ahead: ahead), request: request, labels: stage.labels,
                maps: stage.liveMaps()))
        try stage.make(change)
        return change.summary
    }

    func refusal(_ request: JSON) -> String {
        do {
            return "\(try change(request))"
        } catch {
            return "\(error)"
        }
    }

    func inspect(_ request: JSON) throws -> StageTable {
        let names = stage.labels["policies", default: []]
        return try LiveRates.inspect(
            InspectRequest(
                configuration: JSON(encoding: configuration), context: context(), request: request,
                labels: stage.labels, maps: stage.liveMaps(),
                counters: ["policies": names.map { try stage.counts(of: $0) }]))
    }
}

@Suite("A live stage", .enabled(if: getuid() == 0, mayLoadPrograms))
struct LiveRateTests {
    private func configuration() throws -> Configuration {
        Configuration(policies: [
            Policy(name: "dns", destinations: try prefixes("10.0.0.0/24"), perAddress: slow(30)),
            Policy(
                name: "rest", destinations: try prefixes("0.0.0.0/0", "::/0"), perAddress: slow(50), buckets: .shared),
        ])
    }

    @Test(arguments: hooks) func changesItsRatesAtOnce(hook: HookKind) throws {
        let live = try LiveStage(configuration(), at: hook)
        let said = try live.change([
            "add": [["policy": "dns", "per-address": ["packets-per-second": 1, "burst": 10]]]
        ])
        #expect(said == ["policy dns: each address 1 packets a second, 10 at once"])
        var tokens = Tokens()
        #expect(tokens.are(try live.stage.passed(to: "10.0.0.1", of: 100), of: 10))
        #expect(tokens.are(try live.stage.passed(to: "11.0.0.1", of: 100), of: 50))
        let rows = try live.inspect(["list": "rules"]).rows
        #expect(rows[0].prefix(3) == ["dns", "live", "1/s, 10 at once"])
        #expect(rows[1].prefix(3) == ["rest", "config", "1/s, 50 at once"])
        // Another generation goes on with it.
        let next = try LiveStage(configuration(), at: hook, after: live)
        tokens = Tokens()
        #expect(tokens.are(try next.stage.passed(to: "10.0.0.2", of: 100), of: 10))
        #expect(try next.change(["remove": ["dns"]]) == ["policy dns: rates of the configuration"])
        tokens = Tokens()
        #expect(tokens.are(try next.stage.passed(to: "10.0.0.3", of: 100), of: 30))
        #expect(try next.inspect(["list": "rules"]).rows[0].prefix(2) == ["dns", "config"])
    }

    @Test(arguments: hooks) func ratesHaveAnEnd(hook: HookKind) throws {
        let live = try LiveStage(configuration(), at: hook)
        let rule: JSON = ["policy": "dns", "ttl": "10m", "per-address": ["packets-per-second": 1, "burst": 10]]
        // Added so long ago that it is over.
        try live.change(["add": [rule]], ahead: -601)
        var tokens = Tokens()
        #expect(tokens.are(try live.stage.passed(to: "10.0.0.1", of: 100), of: 30))
        try live.change(["add": [rule]])
        tokens = Tokens()
        #expect(tokens.are(try live.stage.passed(to: "10.0.0.2", of: 100), of: 10))
        #expect(try live.inspect(["list": "rules"]).rows[0][5] != .null)
    }

    /// A rate may put a bucket off further than any that was configured: no other limit takes it for one that is free.
    @Test(arguments: hooks) func bucketsOfItAreNobodyElses(hook: HookKind) throws {
        let fast = Rate(packetsPerSecond: 1000, burst: 10)
        let live = try LiveStage(
            Configuration(
                policies: [
                    Policy(name: "slow", destinations: prefixes("10.0.0.0/8"), perAddress: fast, buckets: .shared),
                    Policy(name: "fast", destinations: prefixes("11.0.0.0/8"), perAddress: fast, buckets: .shared),
                ], buckets: 64), at: hook)
        try live.change(["add": [["policy": "slow", "per-address": ["packets-per-second": 1, "burst": 500]]]])
        let tokens = Tokens()
        #expect(tokens.are(try live.stage.passed(to: "10.0.0.1", of: 1000), of: 500))
        for index in 0..<1000 {
            try live.stage.run(datagram(to: IPAddress(bytes: [11, 0, UInt8(index / 256), UInt8(index % 256)])))
        }
        #expect(try live.stage.passed(to: "10.0.0.1", of: 100) <= 50)
    }

    @Test func refusesWhatItHasNot() throws {
        let live = try LiveStage(configuration(), at: .cgroupSkbIngress)
        let rate: JSON = ["packets-per-second": 5]
        #expect(
            live.refusal(["add": [["policy": "web", "per-address": rate]]])
                == "add[0].policy: the stage has no policy \"web\"; it has: dns, rest")
        #expect(
            live.refusal(["add": [["policy": "dns", "per-prefix": rate]]])
                == "add[0].per-prefix: policy \"dns\" has no such limit; only rates of those it has can be changed live"
        )
        #expect(
            live.refusal(["add": [["policy": "dns"]]])
                == "add[0]: changes no rate; expected per-address, per-prefix or per-source")
        #expect(
            live.refusal(["add": [["policy": "dns", "per-address": ["packets-per-second": 0]]]])
                == "add[0].per-address.packets-per-second: 0: expected 1 to 10000000")
        #expect(
            live.refusal(["remove": ["dns"]])
                == "remove[0]: the rates of policy \"dns\" are those of the configuration")
        #expect(live.refusal(["remove": ["web"]]) == "remove[0]: the stage has no policy \"web\"; it has: dns, rest")
        #expect(live.refusal([:]) == "expected rates to set, or names of policies to take them back from")
        // Nothing of it was set.
        #expect(try live.stage.liveMaps()["overrides"] == [])
    }

    @Test(arguments: hooks) func tellsWhoIsOver(hook: HookKind) throws {
        let live = try LiveStage(configuration(), at: hook)
        let tokens = Tokens()
        var sent: [(IPAddress, UInt64)] = []
        for (address, source, count) in [
            ("10.0.0.1", "192.0.2.1", 500), ("10.0.0.255", "192.0.2.9", 300), ("11.0.0.7", "198.51.100.1", 1000),
            ("2001:db8::1", "2001:db8:7:8::1", 80),
        ] as [(IPAddress, IPAddress, Int)] {
            sent.append((address, UInt64(count) - (try live.stage.passed(to: address, from: source, of: count))))
        }
        _ = tokens
        let destinations = try live.inspect(["top": "destinations"])
        #expect(destinations.columns == ["destination", "policy", "packets", "at-least"])
        #expect(
            destinations.rows
                == [
                    ["11.0.0.7", "rest", .unsigned(sent[2].1), .unsigned(sent[2].1)],
                    ["10.0.0.1", "dns", .unsigned(sent[0].1), .unsigned(sent[0].1)],
                    ["10.0.0.255", "dns", .unsigned(sent[1].1), .unsigned(sent[1].1)],
                    ["2001:db8::1", "rest", .unsigned(sent[3].1), .unsigned(sent[3].1)],
                ])
        let sources = try live.inspect(["top": "sources"])
        #expect(sources.rows.map { $0[0] } == ["198.51.100.0/24", "192.0.2.0/24", "2001:db8:7::/48"])
        #expect(sources.rows[1][1] == .unsigned(sent[0].1 + sent[1].1))
        #expect(try live.stage.count(.drop) == sent.reduce(0) { $0 + $1.1 })
    }

    /// A hundred thousand spoofed sources cannot hide the one that sends a third of all.
    @Test func findsTheHeavyOneAmongManySpoofed() throws {
        let live = try LiveStage(configuration(), at: .cgroupSkbIngress)
        var random = SeededGenerator(seed: 3)
        for index in 0..<20_000 {
            let spoofed = IPAddress(bytes: (0..<4).map { _ in random.number(1...223) })
            try live.stage.run(datagram(to: "10.0.0.1", from: index % 3 == 0 ? "192.0.2.77" : spoofed))
        }
        let top = try #require(try live.inspect(["top": "sources"]).rows.first)
        #expect(top[0] == "192.0.2.0/24")
        guard case .unsigned(let least) = top[2], case .unsigned(let most) = top[1] else {
            Issue.record("no numbers: \(top)")
            return
        }
        #expect(least <= 6667 && 6600 < most, "\(top)")
    }
}
