// SPDX-License-Identifier: Apache-2.0

import StageKit
import StageTesting
import Testing

@testable import VolumetricDoS

/// Floods of all kinds among usual traffic: a rule within five seconds, that holds the flood and spares the others.
@Suite("Floods in auto mode")
struct FloodTests {
    private static let quiet = 12.0

    /// Of the usual traffic one part in a hundred goes to the victim, and as much to a neighbour.
    private static func simulation(
        _ flood: Flow, _ rate: Double, seed: UInt64 = 1, usual: Double? = nil, from start: Double = quiet
    ) -> Simulation {
        var flows = [Flow].usual(usual ?? rate / 100) + .usual(usual ?? rate / 100, to: "192.0.2.9")
        if flood.name.hasPrefix("IPv6") { flows.append(.usual6) }
        // Above what is usual, whatever that is.
        let auto = AutoConfiguration(packetsPerSecond: max(10_000, UInt64(rate / 40)), mode: .install)
        return Simulation(auto, seed: seed, flows + [flood.attacking(rate, from: start)])
    }

    static let floods: [(Flow, rate: Double)] = [
        (.ntpAmplification, 20_000), (.ntpAmplification, 3_000_000), (.manyAmplifiers, 500_000),
        (.spoofedSYNs, 20_000), (.spoofedSYNs, 2_000_000), (.botnet, 100_000), (.carpet, 60_000),
        (.carpet, 5_000_000), (.smallPackets, 1_000_000), (.version6, 100_000),
        // It differs from two legitimate servers by nothing but the source.
        (.ntpLookalike, 200_000),
    ]

    @Test(arguments: floods)
    func isFoundAndHeld(flood: Flow, rate: Double) throws {
        var simulation = Self.simulation(flood, rate)
        try simulation.run(until: Self.quiet)
        #expect(simulation.changes.isEmpty, "\(simulation.changes)")
        try simulation.run(until: Self.quiet + 4)
        let found = simulation.changes.map(\.change.reason)
        let first = try #require(simulation.changes.first, "\(simulation.log)")
        #expect(first.time <= Self.quiet + 3)
        #expect(simulation.share(held: flood) >= 0.95, "\(found) \(simulation.log)")
        #expect(simulation.shareOfBystandersHeld < 0.01, "\(found)")
        #expect(simulation.installed.count <= 16)
        #expect(first.change.reason.contains(" packets/s to "), "\(first.change.reason)")
    }

    /// Without a second of quiet traffic to compare with: what is all alike or from one place is found all the same.
    @Test(
        arguments: [
            (.ntpAmplification, 20_000), (.spoofedSYNs, 2_000_000), (.botnet, 100_000), (.smallPackets, 1_000_000),
        ] as [(Flow, Double)])
    func isFoundRightAfterTheStart(flood: Flow, rate: Double) throws {
        var simulation = Self.simulation(flood, rate, from: 2)
        try simulation.run(until: 6)
        #expect(simulation.share(held: flood) >= 0.95, "\(simulation.log)")
        #expect(simulation.shareOfBystandersHeld < 0.01, "\(simulation.changes)")
    }

    /// Names what it found, and in what proportion.
    @Test func saysWhy() throws {
        var simulation = Self.simulation(.ntpAmplification, 1_000_000)
        try simulation.run(until: Self.quiet + 3)
        let change = try #require(simulation.changes.first?.change)
        let end = " packets/s to 192.0.2.1, of them "
        #expect(change.reason.contains(end), "\(change.reason)")
        #expect(change.reason.hasSuffix("% UDP from port 123 of length 468, 0 before"), "\(change.reason)")
        let rule = try #require(try change.rules.first)
        #expect(rule.ttl == 60)
        #expect(rule.rule.destination == (try IPPrefix("192.0.2.1/32")))
        #expect(rule.rule.name?.hasPrefix("auto-") == true)
    }

    /// From one /16, with nothing else to tell it by: that /16, not all of its addresses, and no shorter prefix.
    @Test func sourcesAreTakenTogether() throws {
        var simulation = Self.simulation(.botnet, 100_000)
        try simulation.run(until: Self.quiet + 4)
        let sources = simulation.installed.values.map { $0.rule.source?.description ?? "anywhere" }
        #expect(sources == ["198.18.0.0/16"])
    }

    /// What looks like the usual traffic in all that a rule can ask for is left alone, and said to be so: rules that hold
    /// it would hold the others as well. Limits per source are for that.
    @Test(arguments: [(.perfectSYNs, 100_000), (.crowd, 50_000)] as [(Flow, Double)])
    func isLeftAloneIfNothingTellsItApart(flood: Flow, rate: Double) throws {
        var simulation = Self.simulation(flood, rate)
        try simulation.run(until: Self.quiet + 2)
        #expect(simulation.changes.isEmpty, "\(simulation.changes)")
        #expect(simulation.log.count == 1)
        #expect(simulation.log.first?.line.contains("would take") == true, "\(simulation.log)")
        let table = try simulation.watch.answer(["top": "proposals"], at: simulation.time)
        #expect(table.notes.first?.contains("no rule for") == true, "\(table)")
    }
}
