// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing

@testable import L4LB

/// Directors and flows that outlive changes of servers: whoever took a flow when it began must be asked about its packets
/// for as long as it is not down.
private struct LongLived {
    private(set) var configuration: Configuration
    private(set) var words: [Int: ServerWord] = [:]
    private var director: StageUnderTest
    /// Each flow with the server that has it.
    private var flows: [(flow: Flow, server: Int)] = []

    init(_ configuration: Configuration) throws {
        self.configuration = configuration
        director = try StageUnderTest(configuration.plan(), objects: StageUnderTest.objects(of: "l4lb-1_0"))
    }

    /// The numbers of the servers that a packet is asked of, in order.
    func way(_ flow: Flow, on director: StageUnderTest? = nil) throws -> [Int] {
        let sent = try (director ?? self.director).run(flow.frame)
        #expect(sent.verdict == .tx)
        let outer = Window(frame: sent.packet, start: 14, end: sent.packet.count)
        let first = configuration.servers.first { $0.address == outer.address(16, isIPv4: true) }
        return [first?.number ?? 0] + (0..<3).map { outer.number16(34 + 2 * $0) }.filter { $0 != 0 }
    }

    mutating func begin(_ count: Int, _ random: inout SeededGenerator) throws {
        for _ in 0..<count {
            var flow = random.flow(to: configuration)
            flow.protocol = .tcp
            flow.destinationPort = 80
            flows.append((flow, try way(flow)[0]))
        }
    }

    mutating func set(_ server: Server, _ change: (inout ServerWord) -> Void) throws {
        var word = words[server.number] ?? ServerWord(tag: server.tag)
        change(&word)
        words[server.number] = word
        try tell(director)
    }

    private func tell(_ director: StageUnderTest) throws {
        let entries = words.map { MapEntry(key: Bytes(number: UInt32($0.key)), value: Bytes(number: $0.value.raw)) }
        try director.make(StageChange(updates: [MapUpdate(map: "servers_live", entries: entries)], summary: ["set"]))
    }

    /// Another generation, with these servers besides; states go on.
    mutating func add(_ server: Server) throws {
        configuration.servers.append(server)
        configuration.pools[0].servers.append(server.name)
        director = try StageUnderTest(
            configuration.plan(), objects: StageUnderTest.objects(of: "l4lb-1_0"), sharingStateWith: director)
    }

    /// Flows whose server nobody asks any more.
    func broken(on director: StageUnderTest? = nil) throws -> Int {
        try flows.count { try !way($0.flow, on: director).contains($0.server) }
    }

    /// A director that has the same configuration and knows nothing of states.
    func newDirector() throws -> StageUnderTest {
        try StageUnderTest(configuration.plan(), objects: StageUnderTest.objects(of: "l4lb-1_0"))
    }
}

@Suite("Flows outlive planned changes", .enabled(if: Lab.isAvailable, "needs root, to load programs"))
struct LosslessTests {
    /// Drains, fills and weights at random, three servers of eight at a time, with new flows in between.
    @Test(arguments: 0..<4)
    func statesAndWeights(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        var run = try LongLived(.sample(servers: 8, weights: [100, 100, 50, 80], entries: 4096))
        var unusual: [Int] = []
        try run.begin(100, &random)
        for _ in 0..<40 {
            let index = unusual.count < 3 ? random.number(0...7) : unusual.removeFirst()
            let back = unusual.contains(index) || unusual.count == 3
            unusual.removeAll { $0 == index }
            let server = run.configuration.servers[index]
            if back || random.chance(0.3) {
                try run.set(server) {
                    $0.wanted = random.pick([.active, .filling])
                    $0.share = ServerWord.whole
                }
            } else {
                unusual.append(index)
                let share: UInt16 = random.number(0...ServerWord.whole)
                let drains = random.chance(0.6)
                try run.set(server) {
                    if drains { $0.wanted = .draining } else { $0.share = share }
                }
            }
            try #expect(run.broken() == 0)
            try run.begin(10, &random)
        }
        // The routers send all of them to a director that has not been told.
        try #expect(run.broken(on: run.newDirector()) == 0)
    }

    @Test func serversThatAreAdded() throws {
        var random = SeededGenerator(seed: 7)
        var run = try LongLived(.sample(servers: 4, entries: 4096))
        for number in 5...8 {
            try run.begin(200, &random)
            try run.add(
                Server(
                    name: "edge\(number)", number: number, address: IPAddress(bytes: [192, 0, 2, UInt8(10 + number)])))
            // The fourth could push a flow's server, which had rank 1, to rank 5: no sooner.
            if number < 8 { try #expect(run.broken() == 0) }
        }
    }

    /// That the above can fail: what a server had that is down is lost.
    @Test func serversThatAreDown() throws {
        var random = SeededGenerator(seed: 9)
        var run = try LongLived(.sample(servers: 4, entries: 4096))
        try run.begin(400, &random)
        try run.set(run.configuration.servers[0]) { $0.wanted = .down }
        try #expect((60...140).contains(run.broken()))
    }
}
