// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing

@testable import L4LB

/// The plan against the program that it is for.
@Suite("Plan", .enabled(if: getuid() == 0, "needs root, to load programs"))
struct PlanTests {
    private func stage(_ configuration: Configuration) throws -> StageUnderTest {
        try StageUnderTest(configuration.plan(), objects: StageUnderTest.objects(of: "l4lb-1_0"))
    }

    @Test func samplesGetWhatTheyExpect() throws {
        var ranged = Configuration.sample()
        ranged.services[0].ports = PortRange(8000, 8100)
        for index in [1, 3] { ranged.services[index].vip = try IPPrefix("2001:db8:1::/64") }
        ranged.local = "edge1"
        for configuration in [.sample(), .sample(encapsulation: .ipip), .sample(encapsulation: .direct), ranged] {
            #expect(try stage(configuration).failingSamples().isEmpty)
            #expect(try configuration.plan().samples.count == 7)
        }
    }

    private func checked(servers: Int, from ports: PortRange = Director.standardCheckPorts) -> Configuration {
        var configuration = Configuration.sample(servers: servers)
        configuration.director.checkPorts = ports
        configuration.pools[0].check = HealthCheck(.http, port: 80)
        configuration.pools[0].check?.to = .vip
        return configuration
    }

    private func way(_ server: Server, _ configuration: Configuration) -> CheckPorts.Way {
        CheckPorts(configuration).way(to: CheckTarget(pool: "web", server: server.name, address: server.address))
    }

    /// By its source port each is known, to both programs; what they know is the same.
    @Test func checksThroughTheTunnelHavePortsOfTheirOwn() throws {
        var configuration = checked(servers: 4, from: PortRange(61000, 61063))
        configuration.local = "edge2"
        let ways = configuration.servers.map { way($0, configuration) }
        #expect(ways.map { $0.source?.ports.count } == [8, nil, 8, 8])
        let ports = ways.flatMap { $0.source?.ports ?? [] }
        #expect(Set(ports).count == 24 && ports.allSatisfy { (61000...61063).contains($0) })
        #expect(ways[3].destination == "192.0.2.14" && ways[3].asked == "198.51.100.10")
        #expect(ways[3].source?.address == "192.0.2.10" && ways[3].source?.segment == 1420)
        // Its own VIP, through no tunnel.
        #expect(ways[1].destination == "198.51.100.10")
        let plans = [try configuration.plan(), try configuration.checksPlan()]
        #expect(plans.allSatisfy { $0.constants["check_first"] == .integer(61000) })
        #expect(plans.allSatisfy { $0.constants["check_count"] == .integer(64) })
        #expect(plans[0].maps["checks"] == plans[1].maps["checks"])
        let keys = try #require(plans[0].maps["checks"]).entries.map { $0.key.number(at: 0) as UInt32 }
        #expect(Set(keys) == Set(ports.map { UInt32($0 - 61000) }))
        #expect(plans[0].runs == true && plans[1].runs == false)
        // Without such checks there are none.
        configuration.pools[0].check?.to = .server
        #expect(try configuration.checksPlan().constants["check_count"] == .integer(0))
        #expect(
            try configuration.checksPlan().summary == [
                "warning: no health check by TCP goes through the tunnel (`to: vip`): all goes on as it is"
            ])
        // One each, if there are no more.
        let few = checked(servers: 4, from: PortRange(65532, 65535))
        #expect(Set(few.servers.flatMap { way($0, few).source?.ports ?? [] }) == Set(65532...65535))
    }

    /// A canary, or whoever's hooks flip one after the other, has checks that others know little of.
    @Test func aServerMoreMovesHardlyAnyPort() {
        let (before, after) = (checked(servers: 200), checked(servers: 201))
        var lost: [Int] = []
        for server in before.servers {
            let (old, new) = (way(server, before).source!.ports, way(server, after).source!.ports)
            #expect(old.count == 8 && new.count == 8)
            lost.append(Set(old).subtracting(new).count)
        }
        #expect(lost.max()! <= 2 && lost.reduce(0, +) <= 20, "\(lost)")
    }

    /// Random flows, states and weights: the program sends each where `explain` says that it does.
    @Test(arguments: 0..<6)
    func aFlowGoesWhereItIsExplainedTo(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed + 600_000)
        let count = random.number(1...8)
        var configuration = Configuration.sample(
            servers: count, weights: (0..<count).map { _ in random.pick([100, 50, 1]) })
        configuration.director.hashSeed = random.next()
        configuration.pools[0].hash = random.pick([.fiveTuple, .source])
        configuration.pools[0].entries = random.pick([256, 1024, 8192])
        let stage = try stage(configuration)
        for _ in 0..<20 {
            var planned = try PlannedStage(configuration)
            for server in configuration.servers {
                let name: JSON = .string(server.name)
                let request: JSON =
                    random.pick([
                        nil, nil, ["drain": [name]], ["down": [name]],
                        ["weight": .object(JSON.Object([server.name: .integer(Int64(server.weight / 2))]))],
                        ["health": ["up": [], "down": [name]]],
                    ]) ?? [:]
                // What would leave nobody is refused.
                _ = try? planned.change(request)
            }
            let words = configuration.servers.map { server in
                let key = Bytes(number: UInt32(server.number))
                return MapEntry(key: key, value: planned.words[key] ?? Bytes([UInt8](repeating: 0, count: 8)))
            }
            try stage.make(StageChange(updates: [MapUpdate(map: "servers_live", entries: words)], summary: []))
            let live = LiveServers(
                ["servers": planned.plan.maps["servers"]!.entries, "servers_live": words],
                names: configuration.servers.map(\.name))
            for _ in 0..<50 {
                let flow = random.flow(to: configuration)
                let expected = try Explanation(flow, configuration, live).selection.hops
                let outcome = try stage.run(flow.frame)
                #expect(outcome.verdict == .tx)
                #expect(hops(outcome.packet) == expected, "\(flow)")
            }
        }
    }

    /// The numbers of the servers that a tunnel's packet is for, in order.
    private func hops(_ frame: [UInt8]) -> [Int] {
        let server = Int(frame[14 + 19]) - 10
        let gue = frame[(14 + 20 + 8)...]
        #expect(gue[gue.startIndex + 4] == 0x5c)
        let further = (0..<3).map { Int(gue[gue.startIndex + 6 + $0 * 2]) << 8 | Int(gue[gue.startIndex + 7 + $0 * 2]) }
        return [server] + further.filter { $0 != 0 }
    }

    @Test func countsByServiceServerAndVerdict() throws {
        let stage = try stage(.sample())
        let flow = Flow(.tcp, from: "10.0.0.1", 4000, to: "198.51.100.10", 80)
        for _ in 0..<3 { try stage.run(flow.frame) }
        #expect(try stage.counter("services", "http") == 3)
        #expect(try stage.counter("services", "dns") == 0)
        #expect(try (1...4).map { try stage.counter("servers", "edge\($0)") ?? 0 }.reduce(0, +) == 3)
        #expect(try stage.counter("verdicts", "forwarded") == 3)
    }

    @Test func bytesAreOfTheProgramsLayout() throws {
        let configuration = Configuration.sample()
        let plan = try configuration.plan()
        #expect(plan.maps["servers"]?.entries.first?.value.raw.count == 40)
        #expect(plan.maps["vips"]?.entries.first.map { [$0.key.raw.count, $0.value.raw.count] } == [24, 100])
        #expect(
            plan.maps["services_by_port"]?.entries.first.map { [$0.key.raw.count, $0.value.raw.count] } == [24, 4])
        #expect(plan.maps["services"]?.entries.first?.value.raw.count == 16)
        #expect(plan.maps["tables"]?.entries.first?.value.raw.count == 8192)
        #expect(GUEHeader(isIPv4: true, hops: [1, 2]).bytes == [2, 4, 0, 0, 0x5c, 0x10, 0, 1, 0, 2, 0, 0])
    }
}
