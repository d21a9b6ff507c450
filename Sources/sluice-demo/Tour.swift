// SPDX-License-Identifier: Apache-2.0

import Glibc
import SluiceAPI
import StageKit
import StageTesting

/// What the demo shows, in its order. Every claim is checked: one that does not hold ends the tour with an error.
struct Tour {
    private let edge: Edge
    private let narrator: Narrator
    private let examples: String
    private let customers, attacked, abused: SequenceReceiver

    init(_ edge: Edge, _ narrator: Narrator, examples: String) throws {
        self.edge = edge
        self.narrator = narrator
        self.examples = examples
        customers = try edge.service(port: 9000)
        attacked = try edge.service(port: 7001)
        abused = try edge.service(port: 7002)
    }

    func run() throws {
        narrator.say(
            """
            Sluice: an edge server under attack, in small. It all happens in network and mount namespaces that vanish
            with this program: no interface, file system or service of this machine is touched.
            """)
        let customer = try begin()
        try startDaemon()
        try apply()
        let (flood, botnet) = try attack()
        try upgrade(flood, botnet)
        try limitNetworks()
        try rollBack()
        try survive(flood)
        try remember()
        try account(customer, flood, botnet)
    }

    private func begin() throws -> SequenceSender {
        narrator.step("The scene")
        narrator.say(
            """
            The edge server has one interface, edge0 (\(Edge.address)). A customer (\(Edge.customer)) sends it 2,000
            packets a second, each with a number, and will not stop before the end: every number is checked.
            """)
        let customer = try edge.stream(port: 9000, rate: 2_000)
        try edge.lab.until("the customer is served") { customers.received > 500 }
        narrator.say("\(grouped(customers.received)) packets have arrived so far.")
        return customer
    }

    private func startDaemon() throws {
        narrator.step("The daemon comes when it is called")
        narrator.say("Only its socket is there; the first command starts sluiced.")
        try edge.listen()
        try edge.sluicectl("plugins")
    }

    private func apply() throws {
        narrator.step("A chain goes live")
        narrator.say(
            "What would change, and then the change: built and tried with sample packets, then live by one write.")
        try edge.plan("\(examples)/edge.yaml")
        try edge.sluicectl("apply", "-f", "\(examples)/edge.yaml", "--message", "first filter")
    }

    private func attack() throws -> (LiveFrames, LiveFrames) {
        narrator.step("The attack")
        narrator.say(
            """
            A flood from 198.51.100.0/24, a network that a rule of the chain names, and a botnet: 250 addresses of
            203.0.113.0/24, each far below the limit of a single source.
            """)
        let flood = try edge.flood(from: "198.51.100.1", sources: 250, port: 7001, rate: 500_000)
        let botnet = try edge.flood(from: "203.0.113.1", sources: 250, port: 7002, rate: 20_000)
        try pause(2)
        try edge.sluicectl("status", Edge.hook)
        try edge.sluicectl("stats", Edge.hook)
        try checkFlood(flood)
        narrator.say(
            "The botnet gets through: \(grouped(try rate { abused.arrived })) packets a second reach the server.")
        return (flood, botnet)
    }

    private func upgrade(_ flood: LiveFrames, _ botnet: LiveFrames) throws {
        narrator.step("An upgrade in mid-flood")
        narrator.say(
            """
            volumetric-dos 1.1 takes over from 1.0 with the configuration as it is: for three seconds it has a fifth of the
            flows; as it fares no worse there than 1.0, it then gets all of them by one write.
            """)
        try edge.sluicectl(
            "upgrade", Edge.hook, "dos", "--to", "1.1", "--canary", "20%", "--for", "3s", "--abort-if", "drop>+5%",
            "--message", "can limit networks")
        try pause(1)
        try checkFlood(flood)
    }

    private func limitNetworks() throws {
        narrator.step("What the new version can do")
        let before = try rate { abused.arrived }
        try edge.plan("\(examples)/edge-1.1.yaml")
        try edge.sluicectl("apply", "-f", "\(examples)/edge-1.1.yaml", "--message", "stop the botnet")
        // The bucket of the network starts full.
        try pause(2)
        let after = try rate { abused.arrived }
        narrator.say(
            "Of the botnet, \(grouped(after)) packets a second reach the server; before it were \(grouped(before)).")
        try require(after < before * 3 / 4, "the limit of the network has no effect")
    }

    private func rollBack() throws {
        narrator.step("And back")
        narrator.say("Say that was a mistake. The generation before is still there, pinned; a rollback is one write.")
        try edge.sluicectl("rollback", Edge.hook, "--message", "practice")
        try pause(1)
        let back = try rate { abused.arrived }
        narrator.say("The botnet is back at \(grouped(back)) packets a second. Now to the very first generation:")
        try require(back > 10_000, "the rollback has no effect")
        try edge.sluicectl("rollback", Edge.hook, "--to", "1", "--message", "practice")
        try edge.sluicectl("status", Edge.hook)
        try require(edge.status().live == 1, "generation 1 is not live")
    }

    private func survive(_ flood: LiveFrames) throws {
        narrator.step("The daemon is killed")
        try edge.killDaemon()
        let before = (flood: flood.sent, customer: customers.received)
        try pause(2)
        narrator.say(
            """
            Nobody manages the chain, and it works on: the flood sent \(grouped(flood.sent - before.flood)) more packets, the
            customer's last \(grouped(customers.received - before.customer)) arrived.
            """)
        try checkFlood(flood)
    }

    private func remember() throws {
        narrator.step("It comes back and knows everything")
        try edge.listen()
        try edge.sluicectl("status", Edge.hook)
        try edge.sluicectl("history", Edge.hook)
        try edge.sluicectl("doctor")
        try require(edge.status().live == 1, "the daemon does not know which generation is live")
    }

    private func account(_ customer: SequenceSender, _ flood: LiveFrames, _ botnet: LiveFrames) throws {
        narrator.step("The account")
        try flood.stop()
        try botnet.stop()
        let report = try customers.report(sent: customer.stop())
        narrator.say(
            """
            flood:    \(grouped(flood.sent)) packets sent, \(grouped(attacked.arrived)) reached the server
            botnet:   \(grouped(botnet.sent)) packets sent, \(grouped(abused.arrived)) reached the server
            customer: \(report)
            """)
        try require(report.isPerfect, "the customer's packets did not all arrive, each once")
        let fallbacks = try edge.status().rootFallbacks
        try require(fallbacks == 0, "\(fallbacks) packets found no generation live")
        try edge.sluicectl("detach", Edge.hook, "--message", "the demo is over")
        narrator.say("Not one of the customer's packets was lost: not by apply, upgrade, rollback, kill or restart.")
    }

    private func checkFlood(_ flood: LiveFrames) throws {
        narrator.say(
            "The flood has sent \(grouped(flood.sent)) packets; \(grouped(attacked.arrived)) of them reached the server."
        )
        try require(flood.sent > 0 && attacked.arrived == 0, "the chain does not stop the flood")
    }

    /// How much a count grows in a second.
    private func rate(_ count: () -> UInt64) throws -> UInt64 {
        let clock = ContinuousClock()
        let (start, before) = (clock.now, count())
        try pause(1)
        return UInt64(Double(count() - before) / ((clock.now - start) / .seconds(1)))
    }

    private func pause(_ seconds: UInt32) throws {
        usleep(seconds * 1_000_000)
        try Interrupt.check()
    }

    private func require(_ holds: Bool, _ otherwise: String) throws {
        guard holds else { throw LabError("not as told: \(otherwise)") }
    }
}
