// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import StageKit

/// A stage for tests: tells whether a packet saw two generations, at every hook, and misbehaves on request.
@main
struct FixtureStage: StagePlugin {
    struct Configuration: Codable, Sendable {
        /// `stamp` unless given.
        var program: Program?
        /// What `stamp` writes and `check` compares with; 0 unless given.
        var generation: UInt32?
        /// What `check` gives every packet; the next stage's turn unless given.
        var verdict: Verdict?
        /// Of the state that `check` keeps: 1 unless given, or 2, which is as large and laid out otherwise.
        var layout: Layout?
        /// The size of the state that `tally` keeps; 131,072 unless given.
        var entries: UInt32?
        /// Whether `ringing` listens; it does unless told otherwise.
        var listens: Bool?
        /// The ports that `live` drops from the start.
        var ports: [UInt32]?
        var misbehave: Misbehaviour?
    }

    enum Program: String, Codable, CaseIterable {
        case stamp, check
        /// Counts packets by source in a state map; the object and what it does with old state go by the version.
        case tally
        /// The verifier refuses it.
        case refused
        /// Gives `tx` where its plan promises `next`.
        case wrongVerdict = "wrong-verdict"
        /// Gives a number that is no verdict.
        case invalidVerdict = "invalid-verdict"
        /// Has maps of every shape.
        case tables
        /// Tells its plugin of each UDP packet.
        case ringing
        /// Drops ports, and takes more while it is live.
        case live
    }

    enum Layout: Int, Codable {
        case first = 1
        case second = 2
    }

    /// The name of the folder that the executable lies in, as tests install it in several; 1.0 when that is no version.
    private static let version: String = {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard readlink("/proc/self/exe", &path, path.count - 1) > 0 else { return "1.0" }
        let text = String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let folder = text.split(separator: "/").dropLast().last ?? ""
        let numbers = folder.split(separator: ".", omittingEmptySubsequences: false)
        return numbers.count == 2 && numbers.allSatisfy { UInt($0) != nil } ? String(folder) : "1.0"
    }()

    static let description = StageDescription(
        name: "fixture-stage", version: version, summary: "Stamps packets, checks the stamp, misbehaves on request.",
        hooks: HookKind.allCases, runs: true)

    func plan(_ configuration: Configuration, in context: PlanContext) throws -> StagePlan {
        let kind = context.kind ?? .xdp
        guard kind == .xdp || (configuration.program ?? .stamp).isOfAllHooks else {
            throw StageError("there is no such program for \(kind.rawValue)", at: "program")
        }
        var plan = honestPlan(configuration, at: kind)
        if configuration.program == .live {
            plan.maps["live_ports"] = MapPlan(entries: (configuration.ports ?? []).map(Live.entry))
            plan.verdicts.append(.drop)
            plan.counters = [Live.counters]
            plan.live = Live.maps
            plan.summary.append("planned at \(context.time)")
        }
        if configuration.program == .ringing { Ringing.complete(&plan, listens: configuration.listens ?? true) }
        try configuration.misbehave?.apply(to: &plan)
        return plan
    }

    func migrate(_ request: MigrationRequest) throws -> Migration { Tally.migration(to: Self.version) }

    func change(_ request: ChangeRequest) throws -> StageChange {
        try Ringing.change(request) ?? Live.change(request)
    }

    func inspect(_ request: InspectRequest) throws -> StageTable { try Live.inspect(request) }

    func run(_ configuration: Configuration, in session: StageSession) async { await Ringing.run(in: session) }

    private func honestPlan(_ configuration: Configuration, at kind: HookKind) -> StagePlan {
        let program = configuration.program ?? .stamp
        let marks = configuration.layout == .second ? ["mixed", "consistent"] : ["consistent", "mixed"]
        let stamps = program == .stamp || program == .check
        let verdict = program == .check || program == .tally ? configuration.verdict ?? .next : .next
        var constants: [String: Constant] = [:]
        if stamps { constants["generation"] = .unsigned(UInt64(configuration.generation ?? 0)) }
        if stamps || program == .tally { constants["verdict"] = .unsigned(UInt64(verdict.number)) }
        let packet = Packet.bytes(
            .ethernet(), .ipv4(from: "192.0.2.1", to: "192.0.2.2"), .udp(from: 1, to: 2), .payload(18))
        // The tally must be what was sent, to the packet.
        let samples =
            program == .tally || !kind.hasPackets
            ? [] : [Sample(name: "any packet", packet: Bytes(packet), expect: verdict)]
        return StagePlan(
            object: program == .tally
                ? Tally.object(of: Self.version) : program.object(configuration.layout ?? .first, at: kind),
            program: program.cName, frags: kind == .xdp,
            constants: constants, maps: configuration.entries.map { ["tally": MapPlan(maxEntries: $0)] } ?? [:],
            verdicts: [verdict], samples: samples,
            counters: stamps ? [CounterTable(name: "marks", map: "marks", columns: marks, rows: ["all"])] : [],
            summary: ["\(program.rawValue) generation \(configuration.generation ?? 0)"], runs: false)
    }
}

extension FixtureStage.Program {
    var isOfAllHooks: Bool { self == .stamp || self == .check }

    var cName: String {
        switch self {
        case .stamp: "stamp"
        case .check: "check"
        case .tally: "tally_sources"
        case .refused: "refused"
        case .wrongVerdict: "wrong_verdict"
        case .invalidVerdict: "invalid_verdict"
        case .tables: "tables"
        case .ringing: "ringing"
        case .live: "live"
        }
    }

    func object(_ layout: FixtureStage.Layout, at kind: HookKind) -> String {
        switch self {
        case .stamp, .check: kind != .xdp ? kind.fixture : layout == .first ? kind.fixture : "fixture_v2.bpf.o"
        case .tally: "tally.bpf.o"
        case .refused: "refused.bpf.o"
        case .wrongVerdict, .invalidVerdict: "faulty.bpf.o"
        case .tables: "tables.bpf.o"
        case .ringing: "ringing.bpf.o"
        case .live: "live.bpf.o"
        }
    }
}

extension HookKind {
    /// Hooks whose programs are of one type share an object.
    fileprivate var fixture: String {
        switch self {
        case .xdp: "fixture.bpf.o"
        case .tcIngress, .tcEgress: "fixture_tc.bpf.o"
        case .cgroupSkbIngress, .cgroupSkbEgress: "fixture_cgroup_skb.bpf.o"
        case .cgroupConnect4, .cgroupConnect6, .cgroupSendmsg4, .cgroupSendmsg6, .cgroupBind4, .cgroupBind6:
            "fixture_cgroup_sock_addr.bpf.o"
        case .cgroupSockCreate: "fixture_cgroup_sock.bpf.o"
        case .sockops: "fixture_sockops.bpf.o"
        case .socketFilter: "fixture_socket_filter.bpf.o"
        }
    }
}
