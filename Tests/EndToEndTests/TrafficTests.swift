// SPDX-License-Identifier: Apache-2.0

import BPF
import SluiceObjects
import Testing

@testable import StageTesting

/// The instruments that other tests measure with.
@Suite struct TrafficTests {
    @Test func theLedgerTellsLossFromDisorder() {
        var ledger = SequenceLedger()
        for number: UInt64 in [0, 1, 4, 3, 3, 70, 1 << 40] { ledger.note(number) }
        ledger.foreign += 1
        let report = ledger.report(sent: 72)
        #expect(report.received == 5)
        #expect(report.lost == 67)
        #expect(report.duplicated == 1)
        #expect(report.reordered == 1)
        #expect(report.foreign == 2)
        #expect(report.missing == [2...2, 5...69, 71...71])
        #expect(!report.isPerfect)
    }

    @Test(.enabled(if: Lab.isAvailable, "requires root"), arguments: ["192.0.2", "2001:db8:"])
    func aQuietWireLosesNothing(prefix: String) async throws {
        try await Lab.run { lab in
            let (edge, client) = try lab.addTestLink(prefix)
            let receiver = try SequenceReceiver(lab: lab, on: edge, port: 9000)
            let sender = try SequenceSender(
                lab: lab, netns: "client", from: client, to: edge, port: 9000, rate: 20_000, count: 4_000)
            #expect(try sender.wait() == 4_000)
            let report = try receiver.report(sent: sender.sent)
            #expect(report.isPerfect, "\(report)")
        }
    }

    @Test(.enabled(if: Lab.isAvailable, "requires root"))
    func aCutWireIsSeen() async throws {
        try await Lab.run { lab in
            let (edge, _) = try lab.addTestLink("192.0.2")
            let receiver = try SequenceReceiver(lab: lab, port: 9000)
            let sender = try SequenceSender(lab: lab, netns: "client", to: edge, port: 9000, rate: 2_000)
            try lab.until("100 arrive") { receiver.received > 100 }
            // With a program that drops all: the root of an empty chain that fails closed.
            let root = try lab.attachRoot(to: "edge0", onFault: 1)
            let before = sender.sent
            try lab.until("100 more are sent") { sender.sent > before + 100 }
            _ = consume root
            let after = sender.sent
            try lab.until("100 more are sent") { sender.sent > after + 100 }
            let report = try receiver.report(sent: sender.stop())
            #expect(report.lost > 90, "\(report)")
            #expect(report.missing.count == 1, "\(report)")
            #expect(report.duplicated == 0)
        }
    }

    /// A test that fails in the middle of traffic must still end.
    @Test(.enabled(if: Lab.isAvailable, "requires root"), .timeLimit(.minutes(1)))
    func trafficEndsWithTheLab() async throws {
        struct Deliberate: Error {}
        await #expect(throws: Deliberate.self) {
            try await Lab.run { lab in
                let (edge, _) = try lab.addTestLink("192.0.2")
                let receiver = try SequenceReceiver(lab: lab, port: 9000)
                let sender = try SequenceSender(lab: lab, netns: "client", to: edge, port: 9000)
                try lab.until("some arrive") { receiver.received > 10 && sender.sent > 10 }
                throw Deliberate()
            }
        }
    }

    @Test(.enabled(if: Lab.isAvailable, "requires root"))
    func liveFramesAllArriveAndAreCounted() async throws {
        try await Lab.run { lab in
            _ = try lab.addTestLink("192.0.2")
            let root = try lab.attachRoot(to: "edge0", onFault: 1)
            let frame = [UInt8](repeating: 0, count: 12) + [8, 0, 0x45] + [UInt8](repeating: 0, count: 49)
            let flood = try LiveFrames(
                lab: lab, interface: "client0", netns: "client", packet: frame, options: .init(count: 1_000_000))
            #expect(try flood.wait() == 1_000_000)
            try lab.until("all have arrived") { try root.counters.counters(at: 0)?.first == 1_000_000 }

            let paced = try LiveFrames(
                lab: lab, interface: "client0", netns: "client", packet: frame, options: .init(rate: 10_000))
            try lab.until("some are sent") { paced.sent > 2_000 }
            let sent = try paced.stop()
            try lab.until("all have arrived") { try root.counters.counters(at: 0)?.first == 1_000_000 + sent }
        }
    }
}

/// A root program on an interface, with no chain behind it; off when it goes.
private struct AttachedRoot: ~Copyable {
    let link: BPFLink
    let counters: BPFMap
}

extension Lab {
    /// `edge0` in the lab, `client0` in the namespace `client`; returns the two addresses.
    fileprivate func addTestLink(_ prefix: String) throws -> (edge: String, client: String) {
        let (dot, bits) = prefix.contains(":") ? (":", 64) : (".", 24)
        let (edge, client) = ("\(prefix)\(dot)1", "\(prefix)\(dot)2")
        try addNamespace("client")
        try addVeth(
            VethEnd("edge0", addresses: ["\(edge)/\(bits)"]),
            VethEnd("client0", netns: "client", addresses: ["\(client)/\(bits)"]))
        return (edge, client)
    }

    fileprivate func attachRoot(to interface: String, onFault: UInt32) throws -> AttachedRoot {
        let object = try BPFObject(own: .root, for: .xdp)
        try object.setConstant("sluice_on_fault", to: onFault)
        try object.load(program: OwnProgram.root.rawValue, as: .xdp.taking(frags: true))
        let link = try XDP.attach(
            object.program(OwnProgram.root.rawValue), to: interfaceIndex(interface), mode: .native)
        return AttachedRoot(link: link, counters: try object.loadedMap("sluice_root_counters"))
    }
}
