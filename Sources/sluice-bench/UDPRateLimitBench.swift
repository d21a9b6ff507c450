// SPDX-License-Identifier: Apache-2.0

import BPF
import StageKit
import StageTesting
import UDPRateLimit

/// What the udp-ratelimit stage costs a datagram: with 30,000 keys in turn in a harness, beside that harness alone; and
/// at its own hooks, on one key, beside a stage there that does nothing.
enum UDPRateLimitBench {
    private static let keys = 30_000
    private static let first: IPAddress = "10.50.0.0"
    private static let packet = Packet.bytes(
        .ethernet(), .ipv4(from: "192.0.2.1", to: first), .udp(from: 4000, to: 53), .payload(32))

    /// Nobody is over these: of 30,000 keys, or of one.
    private static let enough = Rate(packetsPerSecond: 10_000, burst: 20_000)
    private static let endless = Rate(packetsPerSecond: 10_000_000, burst: 1_000_000_000)
    private static let little = Rate(packetsPerSecond: 10, burst: 10)

    static func run(_ lab: Lab) throws -> [Figure] {
        var figures: [Figure] = []
        for (name, configuration, addresses) in try cases() {
            figures.append(try inHarness(name, configuration, addresses))
        }
        return try figures + atHooks()
    }

    // MARK: Cases

    private static func cases() throws -> [(String, Configuration, Int)] {
        let prefix = IPPrefix(first, length: 17)
        let all = (0..<keys).map { IPPrefix(IPAddress(bytes: [10, 50, UInt8($0 >> 8), UInt8($0 & 255)]), length: 32) }
        let many = (0..<10_000).map {
            IPPrefix(IPAddress(bytes: [10, UInt8(20 + ($0 >> 8)), UInt8($0 & 255), 0]), length: 26)
        }
        func policy(
            _ destinations: [IPPrefix], _ rate: Rate? = enough, _ change: (inout Policy) -> Void = { _ in }
        ) -> Configuration {
            var policy = Policy(name: "dns", destinations: destinations, perAddress: rate)
            change(&policy)
            return Configuration(policies: [policy])
        }
        var ports = policy([prefix])
        ports.ports = PortSet([53...53])
        return [
            ("no policy is for it", policy([try IPPrefix("192.0.2.0/24")]), keys),
            ("30,000 addresses of a prefix", policy([prefix]), keys),
            ("30,000 addresses, each listed", policy(all), keys),
            // Of every second address, so that no two of them are a prefix.
            (
                "15,000 addresses, scattered",
                policy(all.filter { $0.address.bytes[3] % 2 == 0 }), keys
            ),
            ("30,000 addresses of a prefix, one port", ports, keys),
            ("30,000 addresses, shared buckets", policy([prefix]) { $0.buckets = .shared }, keys),
            ("10,000 prefixes", policy(many), keys),
            ("and a limit per prefix", policy([prefix]) { $0.perPrefix = endless }, keys),
            (
                "and per source, from 50% on, not crowded", policy([prefix]) { $0.perSource = SourceRate(endless) },
                keys
            ),
            (
                "and per source, always",
                policy([prefix]) { $0.perSource = SourceRate(endless, from: 0) }, keys
            ),
            ("one key, admitted", policy([prefix], endless), 1),
            ("one key, over its limit", policy([prefix], little), 1),
            ("30,000 keys, over their limits", policy([prefix], Rate(packetsPerSecond: 1, burst: 1)), keys),
        ]
    }

    // MARK: In the harness

    private static func inHarness(_ name: String, _ configuration: Configuration, _ addresses: Int) throws -> Figure {
        var plan = try configuration.plan(in: PlanContext(hook: "tc-ingress:edge0", stage: "limit"))
        plan.object = "udp_ratelimit_tc.bpf.o"
        let stage = try StageUnderTest(plan, at: .tcIngress, objects: StageUnderTest.objects(of: "sluice-bench"))
        let (full, bare) = (try harness(addresses), try harness(addresses))
        let alone = try full.object.program("bare_skb")
        try bare.set(alone)
        try stage.withProgram { try full.set($0) }
        // Side by side: the machine's speed drifts.
        var (series, floor) = (Series(), Series())
        _ = try full.run()
        for _ in 0..<ChainBench.samples {
            floor.add(try bare.run())
            series.add(try full.run())
        }
        let above = series - floor
        let (dropped, passed) = (try stage.count(.drop), try stage.count(.next))
        return Figure(
            name, "ns", above,
            note:
                "above the harness's \(floor.minimum.short); \(dropped * 100 / max(1, dropped + passed))% dropped; goal: at most 120 over a bare filter"
        )
    }

    private final class Harness {
        let object: BPFObject
        private let slot: BPFMap
        private let program: BPFProgram

        init(_ object: BPFObject) throws {
            self.object = object
            slot = try object.loadedMap("program")
            program = try object.program("harness_skb")
        }

        func set(_ called: borrowing BPFProgram) throws {
            try slot.update(key: bytes(of: UInt32(0)), value: bytes(of: called.fd.raw))
        }

        func run() throws -> Double {
            Double(try program.testRun(packet: packet, repeat: ChainBench.packets).duration)
        }
    }

    private static func harness(_ addresses: Int) throws -> Harness {
        let object = try BPFObject(contentsOf: BuildProducts.object("harness_skb", of: "sluice-bench"))
        try object.setConstant("addresses", to: addresses)
        try object.setConstant("first", to: first.bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
        try object.load(program: "harness_skb", as: ProgramKind(hook: "tc-ingress")!, companions: ["bare_skb"])
        return try Harness(object)
    }

    // MARK: At the hooks

    private static func atHooks() throws -> [Figure] {
        try [HookKind.socketFilter, .cgroupSkbIngress].map { hook in
            let plan = try Configuration(policies: [
                Policy(name: "dns", destinations: [IPPrefix(first, length: 17)], perAddress: endless)
            ]).plan(in: PlanContext(hook: "\(hook.rawValue):dns", stage: "limit"))
            let stage = try StageUnderTest(
                plan, at: hook, objects: StageUnderTest.objects(of: "udp-ratelimit-1_0"))
            let nothing = StagePlan(
                object: hook == .socketFilter ? "noop_socket_filter.bpf.o" : "noop_cgroup_skb.bpf.o", program: "noop",
                verdicts: [.next])
            let bare = try StageUnderTest(
                nothing, at: hook, objects: StageUnderTest.objects(of: "noop"), counting: false)
            var (series, floor) = (Series(), Series())
            for _ in 0..<ChainBench.samples {
                floor.add(Double(try bare.duration(packet, repeat: ChainBench.packets)))
                series.add(Double(try stage.duration(packet, repeat: ChainBench.packets)))
            }
            let above = series - floor
            return Figure(
                "\(hook.rawValue), one key, admitted", "ns", above,
                note: "above the bare filter's \(floor.minimum.short), counters included; goal: at most 120")
        }
    }
}
