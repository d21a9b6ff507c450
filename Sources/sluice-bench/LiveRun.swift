// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc
import StageTesting

/// Live frames from an interface of the client's namespace to wherever they end: in a program that counts and drops them.
final class LiveRun {
    private static let (frames, samples) = (1_000_000, 7)

    private let lab: Lab
    private let interface: String
    private let packet: [UInt8]
    private let flows: Harness.Flows
    private let sink: Sink
    /// A veth sends XDP frames only when it has a native program itself.
    private var opener: Sink?

    /// The attached program, in a place that takes only copyable values.
    private final class Sink: Sendable {
        let counted: BPFMap
        private let link: BPFLink
        init(_ link: consuming BPFLink, _ counted: consuming BPFMap) {
            self.link = link
            self.counted = counted
        }
    }

    /// - Parameters:
    ///   - interface: Where they are sent, in the namespace `client`.
    ///   - end: Where they end, and its namespace: nil for the lab's own.
    init(
        _ lab: Lab, at interface: String, sinkAt end: (name: String, netns: String?), packet: [UInt8],
        flows: Harness.Flows
    ) throws {
        self.lab = lab
        self.interface = interface
        self.packet = packet
        self.flows = flows
        if end.name != interface { opener = try Self.attachSink(lab, interface, "client") }
        sink = try Self.attachSink(lab, end.name, end.netns)
    }

    private static func attachSink(_ lab: Lab, _ name: String, _ netns: String?) throws -> Sink {
        try lab.inNamespace(netns) {
            guard let index = XDP.interfaceIndex(name) else { throw LabError("find interface '\(name)'") }
            let object = try BPFObject(contentsOf: BuildProducts.object("harness", of: "sluice-bench"))
            try object.load(program: "sink", as: .xdp.taking(frags: true))
            let program = try object.program("sink")
            return Sink(try XDP.attach(program, to: index, mode: .native), try object.loadedMap("outcomes"))
        }
    }

    /// Frames that did not arrive: where a processor leaves its queue to another thread, a veth throws away what has no room.
    private(set) var lost: UInt64 = 0

    /// Nanoseconds a frame.
    func measure() throws -> Series {
        var series = Series()
        for _ in 0..<Self.samples { series.add(try sample()) }
        return series
    }

    private func sample() throws -> Double {
        let (packet, flows, interface) = (packet, flows, interface)
        let before = try sink.counted.counters(at: 1)![0]
        let took = try lab.inNamespace("client") {
            guard let index = XDP.interfaceIndex(interface) else { throw LabError("find interface '\(interface)'") }
            let object = try Harness.object(packet, flows: flows)
            try object.load(program: "generate", as: .xdp)
            try Harness.fill(object, packet)
            let program = try object.program("generate")
            let clock = ContinuousClock()
            let start = clock.now
            try program.sendLiveFrames(packet: packet, count: Self.frames, interface: index)
            return (clock.now - start) / .nanoseconds(1)
        }
        let sent = UInt64(Self.frames)
        var (arrived, last): (UInt64, UInt64?) = (0, nil)
        while arrived < sent, arrived != last {
            usleep(200_000)
            (last, arrived) = (arrived, try sink.counted.counters(at: 1)![0] - before)
        }
        lost += sent - min(sent, arrived)
        return took / Double(sent)
    }
}
