// SPDX-License-Identifier: Apache-2.0

import BPF
import SluiceAPI
import StageKit
import StageTesting

/// What a canary costs a packet while it is on, and how soon a candidate that drops everything is off again.
enum CanaryBench {
    static let rounds = 20
    private static let hook = "xdp:flood0"
    private static let packet6 = Packet.bytes(
        .ethernet(), .ipv6(from: "fd00:9::2", to: "fd00:9::1"), .udp(from: 40_000, to: 53), .payload(18))

    static func run(_ lab: Lab) throws -> [Figure] {
        let site = try LabSite(lab, plugins: ["fixture-stage", "noop"])
        try site.start()
        return try splitting(site) + aborting(site)
    }

    /// One pass-on stage, with and without a splitter before it.
    private static func splitting(_ site: LabSite) throws -> [Figure] {
        try site.apply(ChainBench.spec(1, counters: false))
        let root = try BPFProgram.pinned(at: "\(site.hookFolder)/root")
        let packets = [("IPv4", ChainBench.packet), ("IPv6", packet6)]
        let without = try packets.map { try ChainBench.measure(root, packet: $0.1) }
        // The same stage by another name, so that both sides cost the same.
        let other = ChainBench.spec(1, counters: false).replacing("name: s1", with: "name: t1")
        try site.must("apply", "-f", "-", "--canary", "50%", "--for", "1h", "--no-wait", input: other)
        let with = try packets.map { try ChainBench.measure(root, packet: $0.1) }
        try site.must("detach", "xdp:edge0")
        return packets.indices.flatMap { index in
            let cost = with[index].minimum - without[index].minimum
            return [
                Figure("\(packets[index].0), no canary", "ns", without[index]),
                Figure("\(packets[index].0), a canary on", "ns", with[index], note: "the splitter: \(cost.short) ns"),
            ]
        }
    }

    /// In a flood of many flows, from the candidate's 1,000th packet to the flip back.
    private static func aborting(_ site: LabSite) throws -> [Figure] {
        let lab = site.lab
        try lab.addVeth("flood0", VethEnd("flood1", netns: "client"))
        try site.apply(spec(.pass))
        let folder = "\(site.bpffs)/\(hook)"
        let entry = try BPFMap.pinned(at: "\(folder)/entry")
        let live = try entry.lookup(key: bytes(of: UInt32(0)))
        let packet = Packet.bytes(
            .ethernet(), .ipv4(from: "10.0.0.0", to: "10.9.0.1"), .udp(from: 1, to: 2), .payload(18))
        let flood = try LiveFrames(
            lab: lab, interface: "flood1", netns: "client", packet: packet, options: .init(sources: 20_000))
        try lab.until("the flood flows") { flood.sent > 100_000 }
        let clock = ContinuousClock()
        var latency = Series()
        var tried = Series()
        for _ in 0..<rounds {
            try site.must(
                "apply", "-f", "-", "--canary", "5%", "--for", "1h", "--no-wait", input: spec(.drop))
            // It may be over before anybody looks: then its first packets are not seen, and the round says nothing.
            guard let counts = try? BPFMap.pinned(at: "\(folder)/canary/counts") else { continue }
            // The candidate's rows begin with the seventh; its second is `drop`.
            while try counts.counters(at: 7)![0] < 1000, try entry.lookup(key: bytes(of: UInt32(0))) != live {}
            let begin = clock.now
            while try entry.lookup(key: bytes(of: UInt32(0))) != live { try clock.pause(.milliseconds(1)) }
            latency.add((clock.now - begin) / .milliseconds(1))
            tried.add(Double(try counts.counters(at: 7)![0]))
        }
        try flood.stop()
        return [
            Figure(
                "from a bad candidate's 1,000th packet to its end", "ms", latency,
                note: "\(latency.values.count) canaries at 5%, longest \((latency.values.max() ?? .nan).short) ms"),
            Figure("packets that such a candidate had", "packets", tried, note: "of a flood at full rate"),
        ]
    }

    private static func spec(_ verdict: Verdict) -> String {
        "chains:\n  - hook: \(hook)\n    stages:\n      - name: check\n        plugin: fixture-stage\n"
            + "        config: {program: check, verdict: \(verdict.rawValue)}\n"
    }
}
