// SPDX-License-Identifier: Apache-2.0

import BPF
import StageKit
import StageTesting

/// 10,000 flips between two generations of the manager's, under live frames at full rate: none lost, none mixed.
enum FlipBench {
    static let flips = 10_000

    static func run(_ lab: Lab) throws -> [Figure] {
        let site = try LabSite(lab, plugins: ["fixture-stage"])
        try site.start()
        // A pair without addresses: nothing but the flood is on it.
        try lab.addVeth("flood0", VethEnd("flood1", netns: "client"))
        for generation in 1...2 { try site.apply(stamped(generation)) }
        let folder = "\(site.bpffs)/xdp:flood0"
        let entry = try BPFMap.pinned(at: "\(folder)/entry")
        let first = try BPFProgram.pinned(at: "\(folder)/g1/stage_1")
        let second = try BPFProgram.pinned(at: "\(folder)/g2/stage_1")
        let marks = try Bpffs.list("\(folder)/state/check").map { "\(folder)/state/check/\($0)" }
        guard marks.count == 1 else { throw LabError("expected one state map below \(folder)/state/check") }
        let map = try BPFMap.pinned(at: marks[0])
        let before = try map.counters(at: 0)!
        let packet = Packet.bytes(
            .ethernet(), .ipv4(from: "10.9.0.2", to: "10.9.0.1"), .udp(from: 1, to: 2), .payload(18))
        let clock = ContinuousClock()

        // How fast the flood is when nothing flips, then while some 3,000 flips come a second.
        let flood = try LiveFrames(lab: lab, interface: "flood1", netns: "client", packet: packet)
        try lab.until("the flood flows") { flood.sent > 200_000 }
        let still = try flood.rate(for: .seconds(2))
        var flip = Series()
        let (begin, sentBefore) = (clock.now, flood.sent)
        for number in 0..<flips {
            let start = clock.now
            let target = number.isMultiple(of: 2) ? first.fd.raw : second.fd.raw
            try entry.update(key: bytes(of: UInt32(0)), value: bytes(of: target))
            flip.add((clock.now - start) / .microseconds(1))
            // Each flip patches the running code on all CPUs; without a pause that alone takes most of both.
            try clock.pause(.microseconds(300))
        }
        let during = Double(flood.sent - sentBefore) / ((clock.now - begin) / .seconds(1)) / 1e6
        let sent = try flood.stop()
        try lab.until("all packets are through") { try map.counters(at: 0)![0] - before[0] >= sent }
        let after = try map.counters(at: 0)!
        let fallen = try BPFMap.pinned(at: "\(folder)/fallback").counters(at: 0)![0]
        let (consistent, mixed) = (after[0] - before[0], after[1] - before[1])
        guard consistent == sent, mixed == 0, fallen == 0 else {
            throw LabError(
                "of \(sent) packets \(consistent) came through whole, \(mixed) were mixed, \(fallen) fell through the root"
            )
        }
        var undisturbed = Series()
        undisturbed.add(still)
        var flooded = Series()
        flooded.add(during)
        return [
            Figure(
                "flip", "µs", flip, note: "\(flips) flips; \(sent) packets: 0 lost, 0 mixed, 0 through the fall-back"),
            Figure("flood before the flips", "Mpps", undisturbed),
            Figure("flood during the flips, some 3,000 a second", "Mpps", flooded),
        ]
    }

    private static func stamped(_ generation: Int) -> String {
        """
        chains:
          - hook: xdp:flood0
            stages:
              - {name: stamp, plugin: fixture-stage, config: {program: stamp, generation: \(generation)}}
              - {name: check, plugin: fixture-stage, config: {program: check, generation: \(generation), verdict: drop}}
        """
    }
}
