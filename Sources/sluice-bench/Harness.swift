// SPDX-License-Identifier: Apache-2.0

import BPF
import StageTesting

/// Runs a program on one packet millions of times and undoes what it did to it in between: `bpf/sluice-bench`.
final class Harness {
    /// The sources that packets come from.
    enum Flows {
        case one
        /// So many at random: a power of two.
        case random(Int)
        /// Another with each packet.
        case new

        var name: String {
            switch self {
            case .one: "one flow"
            case .random(let count):
                count >= 1 << 20 ? "\(count >> 20) Mi random flows" : "\(count >> 10) Ki random flows"
            case .new: "a new flow each packet"
            }
        }
    }

    /// What stands in for a program, for the harness's own cost.
    enum Nothing {
        case returns
        /// Makes so much more room before the packet; less if negative.
        case encapsulates(Int)
    }

    private static let restoredMaximum = 128

    private let object: BPFObject
    private let program: BPFProgram
    private let packet: [UInt8]
    /// Its map loses what it calls when nobody holds it.
    private let slot: BPFMap

    /// - Parameter whole: Puts the packet's first 128 bytes back after each run, and not just the Ethernet header.
    init(_ packet: [UInt8], flows: Flows = .one, whole: Bool = false, calling called: borrowing BPFProgram) throws {
        object = try Self.object(packet, flows: flows, whole: whole)
        try object.load(program: "harness", as: .xdp)
        slot = try object.loadedMap("program")
        try slot.update(key: bytes(of: UInt32(0)), value: bytes(of: called.fd.raw))
        try Self.fill(object, packet)
        program = try object.program("harness")
        self.packet = packet
    }

    static func object(_ packet: [UInt8], flows: Flows, whole: Bool = false) throws -> BPFObject {
        let object = try BPFObject(contentsOf: BuildProducts.object("harness", of: "sluice-bench"))
        try object.setConstant("length", to: packet.count)
        try object.setConstant("restored", to: whole ? restoredMaximum : 14)
        switch flows {
        case .one: break
        case .random(let count): try object.setConstant("flow_mask", to: UInt32(count - 1))
        case .new:
            try object.setConstant("flow_mask", to: UInt32.max)
            try object.setConstant("counts", to: 1)
        }
        return object
    }

    static func fill(_ object: BPFObject, _ packet: [UInt8]) throws {
        let start =
            packet.prefix(restoredMaximum) + [UInt8](repeating: 0, count: max(0, restoredMaximum - packet.count))
        try object.loadedMap("starts").update(key: bytes(of: UInt32(0)), value: Array(start))
    }

    static func bare(_ nothing: Nothing) throws -> BPFProgram {
        let object = try BPFObject(contentsOf: BuildProducts.object("harness", of: "sluice-bench"))
        if case .encapsulates(let room) = nothing { try object.setConstant("shift", to: Int32(-room)) }
        try object.load(program: "bare", as: .xdp)
        return try object.program("bare")
    }

    /// Nanoseconds a packet, of one sample.
    func sample() throws -> Double {
        Double(try program.testRun(packet: packet, repeat: ChainBench.packets).duration)
    }

    /// How often each verdict came, then how often the packet could not be put back.
    func outcomes() throws -> [UInt64] {
        let map = try object.loadedMap("outcomes")
        return try (0...5).map { try map.counters(at: UInt32($0))![0] }
    }
}
