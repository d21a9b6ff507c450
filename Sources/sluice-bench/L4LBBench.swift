// SPDX-License-Identifier: Apache-2.0

import BPF
import StageKit
import StageTesting

/// What the l4lb stage costs, root and counters included: in a harness that undoes its encapsulation, beside that
/// harness alone; and on live frames.
enum L4LBBench {
    private static let (client, vip): (IPAddress, IPAddress) = ("10.0.0.1", "198.51.100.10")
    private static let servers = 100
    private static let flows: [Harness.Flows] = [.one, .random(1 << 17), .random(1 << 20), .new]

    private static let segment = Packet.bytes(
        .ethernet(), .ipv4(from: client, to: vip), .tcp(from: 40_000, to: 80, flags: .ack), .payload(20))

    static func run(_ lab: Lab) throws -> [Figure] {
        let site = try LabSite(lab, plugins: ["l4lb-1_1"])
        try site.start()
        var figures = [
            Figure(
                "a program that only returns", "ns", try ChainBench.measure(ChainBench.bareReturn()), note: "the floor")
        ]
        figures += try director(site)
        figures += try options(site)
        figures += try redirector(site)
        figures += try live(site)
        return figures
    }

    // MARK: Cases

    private static func director(_ site: LabSite) throws -> [Figure] {
        var figures: [Figure] = []
        for encapsulation in ["gue", "ipip"] {
            try site.apply(spec(encapsulation))
            let root = try BPFProgram.pinned(at: "\(site.hookFolder)/root")
            let room = encapsulation == "gue" ? 40 : 20
            if encapsulation == "gue" {
                let elsewhere = Packet.bytes(
                    .ethernet(), .ipv4(from: client, to: "198.51.100.99"), .tcp(from: 40_000, to: 80, flags: .ack),
                    .payload(20))
                figures.append(
                    try compare("no VIP", elsewhere, .returns, root, verdict: .pass, goal: "at most 40"))
            }
            for flows in flows {
                figures.append(
                    try compare(
                        "VIP, \(encapsulation), \(flows.name)", segment, flows: flows, .encapsulates(room), root,
                        verdict: .tx, goal: "at most 85"))
            }
        }
        return figures
    }

    /// What is off is not there; what is on, for packets that it is not for.
    private static func options(_ site: LabSite) throws -> [Figure] {
        let cases = [
            ("with echo", "icmp-echo: true"), ("with a port range", "range"), ("with QUIC elsewhere", "quic"),
            ("with 512 services", "many"), ("with the redirector", "local: edge1"),
            ("with 1,000 samples a second", "sample: {packets-per-second: 1000}"),
            ("with checks through the tunnel", "checks"),
        ]
        var figures: [Figure] = []
        for (name, option) in cases {
            try site.apply(spec("gue", option))
            let root = try BPFProgram.pinned(at: "\(site.hookFolder)/root")
            figures.append(
                try compare("VIP, gue, one flow, \(name)", segment, .encapsulates(40), root, verdict: .tx))
        }
        // Of four servers, each entry ranks all: in half of them the one that is unusual is of the first two.
        try site.apply(spec("gue", servers: 4))
        for (name, verb) in [("drains", "drain"), ("is down", "down")] {
            try site.must("lb", verb, "xdp:edge0", "lb", "edge2")
            let root = try BPFProgram.pinned(at: "\(site.hookFolder)/root")
            figures.append(
                try compare(
                    "VIP, gue, 128 Ki random flows, one of four \(name)", segment, flows: .random(1 << 17),
                    .encapsulates(40), root, verdict: .tx, goal: "at most 85"))
        }
        return figures
    }

    private static func redirector(_ site: LabSite) throws -> [Figure] {
        try site.apply(spec("gue", "local: edge1"))
        let root = try BPFProgram.pinned(at: "\(site.hookFolder)/root")
        try site.lab.ip(["addr add \(client)/32 dev lo", "addr add \(vip)/32 dev lo"])
        let sockets = LocalSockets()
        try sockets.listen("\(vip)", port: 80)
        let port = try sockets.connect(from: "\(client)", to: "\(vip)", port: 80)
        func tunnelled(_ port: UInt16, _ flags: TCPFlags, hops: [UInt8]) -> [UInt8] {
            let inner = Packet.bytes(
                .ethernet(), .ipv4(from: client, to: vip), .tcp(from: port, to: 80, flags: flags), .payload(40))
            return Packet.bytes(
                .ethernet(), .ipv4(from: "192.0.2.10", to: "10.9.0.1"), .udp(from: 50_000, to: 6080),
                .payload([2, 4, 0, 0, 0x5c, 0x10] + hops + inner.dropFirst(14)))
        }
        let others: [UInt8] = [0, 2, 0, 3, 0, 4]
        let cases: [(String, [UInt8], Verdict)] = [
            ("SYN", tunnelled(port ^ 1, .syn, hops: others), .pass),
            ("established", tunnelled(port, .ack, hops: others), .pass),
            ("last hop", tunnelled(port ^ 1, .ack, hops: [0, 0, 0, 0, 0, 0]), .pass),
            ("to the second hop", tunnelled(port ^ 1, .ack, hops: others), .tx),
        ]
        let figures = try cases.map { name, packet, verdict in
            try compare(
                "redirector, \(name)", packet, whole: true, verdict == .tx ? .returns : .encapsulates(-40), root,
                verdict: verdict)
        }
        withExtendedLifetime(sockets) {}
        return figures
    }

    /// Frames through a veth pair and back, generator, balancer and sink on one processor.
    private static func live(_ site: LabSite) throws -> [Figure] {
        try site.lab.addVeth("floor0", VethEnd("floor1", netns: "client"))
        let floor = try LiveRun(site.lab, at: "floor1", sinkAt: ("floor0", nil), packet: segment, flows: .one)
        let bare = try floor.measure()
        var figures = [
            Figure("live frames, dropped at once", "ns", bare, note: "the floor; \(floor.lost) of 7 million lost")
        ]
        try site.apply(spec("gue"))
        for flows in flows {
            let run = try LiveRun(site.lab, at: "client0", sinkAt: ("client0", "client"), packet: segment, flows: flows)
            let series = try run.measure()
            figures.append(
                Figure(
                    "live frames, gue, there and back, \(flows.name)", "ns", series,
                    note: "\((1000 / series.minimum).short) million a second, \(run.lost) of 7 million lost"))
        }
        return figures
    }

    // MARK: Measuring

    /// A program in the harness, and the harness alone, sample by sample.
    private static func compare(
        _ name: String, _ packet: [UInt8], flows: Harness.Flows = .one, whole: Bool = false, _ nothing: Harness.Nothing,
        _ program: borrowing BPFProgram, verdict: Verdict, goal: String? = nil
    ) throws -> Figure {
        let harness = try Harness(packet, flows: flows, whole: whole, calling: program)
        let alone = try Harness(packet, flows: flows, whole: whole, calling: Harness.bare(nothing))
        _ = try (harness.sample(), alone.sample())
        var (all, floor) = (Series(), Series())
        for _ in 0..<ChainBench.samples {
            all.add(try harness.sample())
            floor.add(try alone.sample())
        }
        let outcomes = try harness.outcomes()
        guard outcomes[Int(verdict.number)] == UInt64((ChainBench.samples + 1) * ChainBench.packets), outcomes[5] == 0
        else {
            throw LabError(
                "\(name): expected \(verdict) only, found \(outcomes) (by number; the last is what went wrong)")
        }
        let above = (all.minimum - floor.minimum).short
        return Figure(
            name, "ns", all,
            note: "\(above) ns above the harness alone, \(floor.minimum.short)\(goal.map { "; goal: \($0)" } ?? "")")
    }

    // MARK: Specs

    private static func spec(_ encapsulation: String, _ option: String = "", servers: Int = servers) -> String {
        var lines = [
            "chains:", "  - hook: xdp:edge0", "    stages:", "      - name: lb", "        plugin: l4lb",
            "        config:",
        ]
        func add(_ line: String) { lines.append("          " + line) }
        add("director: {source-v4: 192.0.2.10, mtu: 1500, route: back}")
        add("icmp-echo: \(option == "icmp-echo: true")")
        if option.hasPrefix("local") || option.hasPrefix("sample") { add(option) }
        add("servers:")
        for number in 1...servers {
            add("  - {name: edge\(number), id: \(number), address: 10.9.0.\(number)}")
        }
        let names = (1...servers).map { "edge\($0)" }.joined(separator: ", ")
        let check = option == "checks" ? ", check: {type: tcp, port: 80, to: vip}" : ""
        add("pools: [{name: web, servers: [\(names)], encapsulation: \(encapsulation)\(check)}]")
        add("services:")
        add("  - {name: http, vip: \(vip), protocol: tcp, port: 80, pool: web}")
        if option == "range" { add("  - {name: range, vip: \(vip), protocol: tcp, port: 8000-8100, pool: web}") }
        if option == "quic" { add("  - {name: quic, vip: \(vip), protocol: udp, port: 443, pool: web, quic: true}") }
        if option == "many" {
            for number in 1..<512 {
                add(
                    "  - {name: s\(number), vip: 198.51.\(101 + number / 250).\(number % 250), protocol: tcp, port: 80, pool: web}"
                )
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
