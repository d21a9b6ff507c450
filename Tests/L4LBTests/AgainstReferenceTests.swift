// SPDX-License-Identifier: Apache-2.0

import Glibc
import PacketSamples
import StageKit
import StageTesting
import Testing

@testable import L4LB

@Suite("The program against plain Swift", .enabled(if: Lab.isAvailable, "needs root, to load programs"))
struct AgainstReferenceTests {
    /// How many times 10 configurations with 250 frames each are tried; `SLUICE_FUZZ=80` makes it 200,000 frames.
    private static let batches = getenv("SLUICE_FUZZ").flatMap { Int(String(cString: $0)) } ?? 4

    private struct Trial {
        let reference: ReferenceBalancer
        let words: [MapEntry]

        init(_ random: inout SeededGenerator) {
            let configuration = random.balancerConfiguration()
            let (entries, words) = random.words(of: configuration.servers)
            reference = ReferenceBalancer(configuration, words: words)
            self.words = entries
        }

        /// A sample of a packet that went into a tunnel names the server whose address is outside.
        func check(_ sample: BalancedPacket, sent frame: [UInt8], _ seed: UInt64) {
            guard let server = reference.server(Int(sample.sentTo)), let link = ReferenceLink(frame) else { return }
            let isIPv4 = server.address.isIPv4
            let outer = Window(frame: frame, start: link.length, end: frame.count)
            let isDirect = sample.service.map {
                reference.pool(of: reference.configuration.services[$0]).encapsulation == .direct
            }
            guard isDirect == false else { return }
            #expect(outer.address(isIPv4 ? 16 : 24, isIPv4: isIPv4) == server.address, "seed \(seed)")
        }
    }

    @Test(arguments: 0..<batches)
    func randomConfigurationsAndFrames(batch: Int) throws {
        for number in 0..<10 {
            let seed = UInt64(batch * 10 + number)
            var random = SeededGenerator(seed: seed)
            let trial = Trial(&random)
            let isNewer = random.chance(0.5)
            let configuration = trial.reference.configuration
            var plan =
                isNewer
                ? try Configuration1_1(configuration, sampling: Sampling(packetsPerSecond: 100_000)).plan()
                : try configuration.plan()
            plan.frags = random.chance(0.5)
            let stage = try StageUnderTest(
                plan, objects: StageUnderTest.objects(of: isNewer ? "l4lb-1_1" : "l4lb-1_0"))
            try stage.make(
                StageChange(updates: [MapUpdate(map: "servers_live", entries: trial.words)], summary: ["words"]))
            var counted: [Outcome: UInt64] = [:]
            var sampled = 0
            for _ in 0..<250 {
                let frame = random.balancerFrame(configuration)
                let expected = trial.reference.take(frame)
                let outcome = try stage.run(frame)
                #expect(
                    outcome.verdict == expected.verdict && outcome.packet == expected.frame,
                    """
                    seed \(seed), \(expected.outcomes): \(String(describing: outcome.verdict)) for \(expected.verdict)
                    frame \(Bytes(frame).hex)
                    gives \(Bytes(outcome.packet).hex)
                    not   \(Bytes(expected.frame).hex)
                    """)
                for outcome in expected.outcomes { counted[outcome, default: 0] += 1 }
                guard isNewer else { continue }
                for record in try stage.records(of: "samples") {
                    let sample = try #require(BalancedPacket(Bytes(record)) { Double($1) })
                    #expect(
                        sample.outcome == expected.outcomes.last && Int(sample.frameLength) == frame.count,
                        "seed \(seed), \(expected.outcomes): \(sample)")
                    trial.check(sample, sent: outcome.packet, seed)
                    sampled += 1
                }
            }
            // By far most of them: a test run takes longer than there is between two.
            if isNewer { #expect(sampled >= 20, "seed \(seed)") }
            for outcome in Outcome.allCases {
                #expect(
                    try stage.counter("verdicts", outcome.label) == counted[outcome, default: 0],
                    "seed \(seed), \(outcome)")
            }
        }
    }

    /// All that each of up to four servers can be, together: there are short cuts for what is usual.
    @Test(arguments: 1...4)
    func everySetOfStates(count: Int) throws {
        let kinds: [(state: ReferenceSelection.State, weight: Int)] = [
            (.active, 32768), (.filling, 32768), (.draining, 32768), (.down, 32768), (.active, 16384),
        ]
        let configuration = Configuration.sample(servers: count, entries: 256)
        let stage = try StageUnderTest(configuration.plan(), objects: StageUnderTest.objects(of: "l4lb-1_0"))
        var random = SeededGenerator(seed: UInt64(count))
        let sets = (0..<count).reduce(1) { product, _ in product * kinds.count }
        for set in 0..<sets {
            var (words, entries, rest) = ([Int: ReferenceSelection.Word](), [MapEntry](), set)
            for server in configuration.servers {
                let kind = kinds[rest % kinds.count]
                rest /= kinds.count
                words[server.number] = .init(state: kind.state, weight: kind.weight)
                let word = UInt64(server.tag) << 32 | UInt64(kind.state.rawValue) << 16 | UInt64(kind.weight)
                entries.append(MapEntry(key: Bytes(number: UInt32(server.number)), value: Bytes(number: word)))
            }
            try stage.make(StageChange(updates: [MapUpdate(map: "servers_live", entries: entries)], summary: []))
            let reference = ReferenceBalancer(configuration, words: words)
            for _ in 0..<10 {
                let frame = random.flow(to: configuration).frame
                let outcome = try stage.run(frame)
                #expect(outcome.packet == reference.take(frame).frame, "\(words)")
            }
        }
    }

    /// That the frames above are worth something: all that can become of one without sockets does, often enough.
    @Test func randomFramesReachEverything() {
        var seen: [Outcome: Int] = [:]
        for seed in 0..<100 {
            var random = SeededGenerator(seed: UInt64(seed))
            let trial = Trial(&random)
            for _ in 0..<100 {
                for outcome in trial.reference.take(random.balancerFrame(trial.reference.configuration)).outcomes {
                    seen[outcome, default: 0] += 1
                }
            }
        }
        let others: Set<Outcome> = [.unrouted, .empty, .keptEstablished, .keptCookie, .keptConnected]
        for outcome in Outcome.allCases where !others.contains(outcome) {
            #expect(seen[outcome, default: 0] >= 20, "\(outcome)")
        }
    }
}
