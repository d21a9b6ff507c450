// SPDX-License-Identifier: Apache-2.0

import BPF
import SluiceObjects
import StageKit
import StageTesting

/// What a stage costs: chains of `noop` stages beside the bare root, built by the real manager, counters off and on.
enum ChainBench {
    static let packet = Packet.bytes(
        .ethernet(), .ipv4(from: "10.9.0.2", to: "10.9.0.1"), .udp(from: 40_000, to: 53), .payload(18))
    /// Test runs in the kernel: so many packets a sample, and so many samples.
    static let packets = 1_000_000
    static let samples = 25

    static func run(_ lab: Lab) throws -> [Figure] {
        let site = try LabSite(lab, plugins: ["noop"])
        try site.start()
        let bare = try bareReturn()
        var figures = [
            Figure("a program that only returns", "ns", try measure(bare), note: "the floor"),
            Figure("bare root, empty slot", "ns", try measure(bareRoot()), note: "counts the packet as fallen through"),
        ]
        for counters in [false, true] {
            for count in [1, 2, 4, 8, 16, 32] {
                // A floor beside each: the machine's speed drifts.
                let floor = try measure(bare)
                try site.apply(spec(count, counters: counters))
                let series = try measure(BPFProgram.pinned(at: "\(site.hookFolder)/root"))
                let stage = (series.minimum - floor.minimum) / Double(count)
                figures.append(
                    Figure(
                        "root and \(count) stages, counters \(counters ? "on" : "off")", "ns", series,
                        note: "\(stage.short) ns a stage above the floor of \(floor.minimum.short)"))
            }
        }
        return figures
    }

    /// A `noop` stage that stands alone and does not count: what a test run costs by itself.
    static func bareReturn() throws -> BPFProgram {
        let object = try BPFObject(contentsOf: BuildProducts.object("noop", of: "noop"))
        try object.setConstant("sluice_counting", to: 0)
        try object.load(program: "noop", as: .xdp)
        return try object.program("noop")
    }

    private static func bareRoot() throws -> BPFProgram {
        let object = try BPFObject(own: .root, for: .xdp)
        try object.load(program: OwnProgram.root.rawValue, as: .xdp)
        return try object.program(OwnProgram.root.rawValue)
    }

    static func spec(_ count: Int, counters: Bool) -> String {
        "chains:\n  - hook: xdp:edge0\n    counters: \(counters)\n    stages:\n"
            + (1...count).map { "      - {name: s\($0), plugin: noop}\n" }.joined()
    }

    static func measure(_ program: borrowing BPFProgram, packet: [UInt8] = packet) throws -> Series {
        var series = Series()
        _ = try program.testRun(packet: packet, repeat: packets)
        for _ in 0..<samples {
            series.add(Double(try program.testRun(packet: packet, repeat: packets).duration))
        }
        return series
    }
}
