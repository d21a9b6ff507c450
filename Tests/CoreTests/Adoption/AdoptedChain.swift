// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

/// An object to adopt, and one of its programs.
struct AdoptedFixture: Sendable, CustomTestStringConvertible {
    let path: String
    let program: String
    /// Whether the object fills a program array of its own.
    var fillsArray: Bool { path.hasSuffix("tailcalls.bpf.o") }
    /// How many different verdicts random packets get of it, at least.
    let verdicts: Int

    /// One of ours, bpf/fixture-stage.
    init(_ object: String, program: String) {
        self.path = BuildProducts.object(object, of: "fixture-stage")
        self.program = program
        self.verdicts = 2
    }

    /// One that the package xdp-tools installs.
    init(debian object: String, program: String) {
        self.path = "/usr/lib/x86_64-linux-gnu/bpf/\(object).o"
        self.program = program
        self.verdicts = object.hasPrefix("xdpfilt") ? 2 : 1
    }

    var testDescription: String { program }

    /// Puts the same into a map each time: rules, for those of xdp-filter.
    func fill(_ map: borrowing BPFMap) throws {
        let match: [UInt8] = [UInt8](repeating: 0xff, count: map.valueSize)
        switch map.name {
        case "filter_ports":
            for port in stride(from: 0 as UInt32, to: 65_536, by: 3) {
                try map.update(key: bytes(of: port), value: match)
            }
        case "filter_ipv4":
            for last in stride(from: 0 as UInt8, to: 255, by: 3) {
                try map.update(key: [10, 0, 0, last], value: match)
            }
        case "filter_ipv6":
            for last in stride(from: 0 as UInt8, to: 255, by: 3) {
                try map.update(key: [0xfd] + [UInt8](repeating: 0, count: 14) + [last], value: match)
            }
        case "filter_ethernet":
            for last in stride(from: 0 as UInt8, to: 255, by: 3) {
                try map.update(key: [2, 0, 0, 0, 0, last], value: match)
            }
        default: break
        }
    }
}

/// A built generation: `noop`, an adopted object's program, `noop`.
struct AdoptedChain {
    let generation: GenerationDirectory
    private let state: [String: String]
    private let hook: HookDirectory

    /// - Parameter behind: how many stages stand behind the adopted one.
    init(
        _ lab: Lab, _ fixture: AdoptedFixture, proceedOn: [Verdict] = [.pass], frags: Bool = false, behind: Int = 1,
        source: ObjectSource? = nil, counters: Bool = true
    ) throws {
        var source = source ?? ObjectSource(path: fixture.path, program: fixture.program, proceedOn: proceedOn)
        source.path = fixture.path
        let object = try BPFObject(contentsOf: fixture.path)
        let check = try AdoptionCheck(stage: "adopted", source: source, object: object, kind: .xdp, frags: frags).run()
        let resources = (BuildProducts.object("noop", of: "noop") as NSString).deletingLastPathComponent
        let noop = StagePlan(object: "noop.bpf.o", program: "noop", verdicts: [.next])
        func native(_ name: String) -> ResolvedStage {
            ResolvedStage(
                name: name, source: .plugin(.init(name: "noop", version: "1.0", runs: false)), artifact: resources,
                plan: noop, state: [:])
        }
        let adopted = ResolvedStage(
            name: "adopted", source: .adopted(.init(proceedOn: source.proceedOn)),
            artifact: (fixture.path as NSString).deletingLastPathComponent, plan: check.plan, state: check.state)
        let stages = [native("first"), adopted] + (0..<behind).map { native("behind\($0)") }
        var spec = ChainSpec(
            hook: try HookID(parsing: "xdp:edge0"),
            stages: stages.map { StageSpec(name: $0.name, source: .plugin(.init(name: "noop"))) })
        spec.counters = counters
        hook = HookDirectory(try HookID(parsing: "xdp:edge0"), in: "\(lab.bpffs)/\(UUID().uuidString)")
        try Bpffs.makeFolder((hook.path as NSString).deletingLastPathComponent)
        try Bpffs.makeFolder(hook.path)
        let builder = GenerationBuilder(
            directory: hook, chain: ResolvedChain(spec: spec, frags: frags, stages: stages), number: 1, transfer: [:],
            artifact: { $0 }
        )
        try builder.build()
        try builder.complete()
        generation = hook.generation(1)
        state = check.state
    }

    func head() throws -> BPFProgram { try BPFProgram.pinned(at: generation.stage(1)) }

    /// A map of the adopted object.
    func map(_ name: String) throws -> BPFMap {
        try BPFMap.pinned(
            at: state[name].map { hook.state(stage: "adopted", map: name, schema: $0) } ?? generation.map(2, name))
    }
}

/// Frames of many kinds, the same for the same seed: addresses and ports from small sets, the rest anything.
struct RandomPackets {
    private var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func next() -> [UInt8] {
        var packet: [UInt8] = [2, 0, 0, 0, 0, byte(), 2, 0, 0, 0, 0, byte()]
        let ports = [byte(), byte(), byte(), byte()]
        let isTCP = chance(2)
        let header = ports + (0..<(isTCP ? 16 : 4)).map { _ in byte() }
        switch number(10) {
        case 0: packet += [0x08, 0x06] + (0..<28).map { _ in byte() }
        case 1...6:
            packet += [
                0x08, 0x00, 0x45, byte(), 0, 60, byte(), byte(), 0, 0, 64, chance(9) ? byte() : isTCP ? 6 : 17, 0, 0,
            ]
            packet += [10, 0, 0, byte(), 10, 0, 0, byte()] + header
        default:
            packet += [0x86, 0xdd, 0x60, 0, 0, 0, 0, 40, isTCP ? 6 : 17, 64]
            packet += [0xfd] + [UInt8](repeating: 0, count: 14) + [byte()]
            packet += [0xfd] + [UInt8](repeating: 0, count: 14) + [byte()] + header
        }
        packet += (0..<number(90)).map { _ in byte() }
        // Some are cut short; 14 bytes are the least that the kernel takes.
        return chance(8) ? Array(packet.prefix(14 + number(20))) : packet
    }

    private mutating func number(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
    private mutating func chance(_ of: Int) -> Bool { number(of) == 0 }
    private mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: random.next() >> 24) }
}
