// SPDX-License-Identifier: Apache-2.0

import StageKit
import StageTesting
import Testing

@testable import VolumetricDoS

/// What auto mode does over time.
@Suite("Auto mode")
struct AutoModeTests {
    private func simulation(_ auto: AutoConfiguration, _ flood: Flow) -> Simulation {
        Simulation(auto, .usual(300) + [flood])
    }

    @Test func doesNothingInQuietTimes() throws {
        // With bursts of a second that go above the rate.
        var flows = [Flow].usual(2000)
        for start in [15.0, 25, 35] {
            flows += [Flow].usual(12_000).map { flow in
                var burst = flow
                (burst.from, burst.until) = (start, start + 1)
                return burst
            }
        }
        var simulation = Simulation(AutoConfiguration(packetsPerSecond: 10_000, mode: .install), flows)
        try simulation.run(until: 40)
        #expect(simulation.changes.isEmpty, "\(simulation.changes)")
        #expect(simulation.log.isEmpty, "\(simulation.log)")
    }

    @Test func renewsARuleAsLongAsTheAttackGoesOn() throws {
        var simulation = simulation(
            AutoConfiguration(packetsPerSecond: 10_000, mode: .install, ttl: 10),
            .ntpAmplification.attacking(50_000, from: 12, until: 40))
        try simulation.run(until: 39)
        #expect(simulation.installed.count == 1)
        // Every five seconds: when half of the time is over.
        let times = simulation.changes.map(\.time)
        #expect((5...7).contains(times.count), "\(times)")
        #expect(Set(try simulation.changes.flatMap { try $0.change.rules.map(\.rule.name) }).count == 1)
        #expect(simulation.changes.last?.change.reason.contains("goes on") == true)
        try simulation.run(until: 55)
        #expect(simulation.installed.isEmpty)
        #expect((simulation.changes.last?.time ?? 0) < 43)
        #expect(simulation.log.last?.line.contains("does not go on") == true, "\(simulation.log)")
        #expect(try simulation.watch.answer(["top": "proposals"], at: simulation.time).rows.isEmpty)
    }

    @Test func findsASecondAttackBesideTheFirst() throws {
        var simulation = simulation(
            AutoConfiguration(packetsPerSecond: 10_000, mode: .install), .ntpAmplification.attacking(50_000, from: 12))
        let second = Flow.spoofedSYNs.attacking(50_000, from: 16)
        simulation.flows.append(second)
        try simulation.run(until: 20)
        #expect(simulation.installed.count == 2)
        #expect(simulation.share(held: .ntpAmplification) >= 0.95)
        #expect(simulation.share(held: second) >= 0.95)
        #expect(simulation.shareOfBystandersHeld < 0.01)
    }

    @Test func proposesWithoutInstalling() throws {
        var simulation = simulation(
            AutoConfiguration(packetsPerSecond: 10_000), .ntpAmplification.attacking(50_000, from: 12, until: 20))
        try simulation.run(until: 19)
        #expect(simulation.changes.isEmpty)
        #expect(simulation.log.count == 1)
        #expect(simulation.log.first?.line.hasPrefix("proposes auto-") == true, "\(simulation.log)")
        let table = try simulation.watch.answer(["top": "proposals"], at: simulation.time)
        #expect(table.rows.count == 1)
        let row = try #require(table.rows.first)
        #expect(row[1] == "proposed")
        #expect(row[2] == "drop to 192.0.2.1/32, protocol udp, source port 123, length 468")
        guard case .integer(let rate) = row[3] else { throw StageError("no rate in \(row)") }
        #expect((45_000...55_000).contains(rate))
    }

    @Test func learnsTheRate() throws {
        let auto = AutoConfiguration(mode: .install, learn: 10)
        // The same flood is an attack on a quiet address, and nothing much on a busy one.
        for (usual, expected) in [(300.0, 1), (6000, 0)] {
            var simulation = Simulation(auto, .usual(usual) + [Flow.ntpAmplification.attacking(15_000, from: 22)])
            try simulation.run(until: 26)
            #expect(simulation.installed.count == expected, "\(usual): \(simulation.log)")
        }
    }

    @Test func triesAgainAfterARefusal() throws {
        var simulation = simulation(
            AutoConfiguration(packetsPerSecond: 10_000, mode: .install), .ntpAmplification.attacking(50_000, from: 12))
        simulation.accepts = false
        try simulation.run(until: 20)
        #expect(simulation.changes.count == 1)
        #expect(try simulation.watch.answer(["top": "proposals"], at: simulation.time).rows.isEmpty)
        simulation.accepts = true
        try simulation.run(until: 26)
        #expect(simulation.changes.count == 2)
        #expect(simulation.share(held: .ntpAmplification) >= 0.95)
    }

    @Test func hasNoMoreRulesThanItMay() throws {
        var simulation = simulation(
            AutoConfiguration(packetsPerSecond: 10_000, mode: .install, rules: 3),
            .ntpLookalike.attacking(100_000, from: 12))
        try simulation.run(until: 18)
        #expect(simulation.installed.count == 3)
        // The largest parts first.
        #expect(simulation.share(held: .ntpLookalike) >= 0.85)
        #expect(simulation.shareOfBystandersHeld < 0.01)
    }
}
