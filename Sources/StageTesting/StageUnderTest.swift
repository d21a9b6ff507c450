// SPDX-License-Identifier: Apache-2.0

package import BPF
public import StageKit

/// A stage of a plan in the kernel, alone: nothing is attached, packets come by test run (`BPF_PROG_TEST_RUN`). Loaded
/// as the manager loads it, with the slot of the next stage left empty, so that `next` can be told from `pass`.
///
/// Needs root, or `CAP_BPF` and `CAP_NET_ADMIN`. Everything goes when it goes.
public final class StageUnderTest {
    /// What became of one packet.
    public struct Outcome: Sendable, Equatable {
        /// Nil for a number that is no verdict.
        public var verdict: Verdict?
        /// The packet as the stage left it.
        public var packet: [UInt8]
    }

    public let plan: StagePlan
    /// The kind of hook that it is loaded for.
    public let hook: HookKind
    let object: BPFObject
    private let program: BPFProgram
    private var merges: [String] = []

    /// - Parameters:
    ///   - hook: The kind of hook it is loaded for. Only where there are packets it can be run.
    ///   - folder: Where the plan's object lies; see ``objects(of:package:)``.
    ///   - counting: Whether the stage counts its verdicts, as by default.
    ///   - earlier: A stage whose state maps this one goes on with, where their layouts are the same; and takes over
    ///     from, where it declares the earlier layout by `SLUICE_STATE_BEFORE`. See ``mergeState()``.
    /// - Throws: What the kernel or libbpf finds wrong with it, the verifier's log included.
    public init(
        _ plan: StagePlan, at hook: HookKind = .xdp, objects folder: String, counting: Bool = true,
        sharingStateWith earlier: StageUnderTest? = nil
    ) throws {
        self.plan = plan
        self.hook = hook
        object = try BPFObject(contentsOf: "\(folder)/\(plan.object)")
        for (name, value) in plan.constants {
            switch value {
            case .integer(let number): try object.setConstant(name, to: number)
            case .unsigned(let number): try object.setConstant(name, to: number)
            case .boolean(let flag): try object.setConstant(name, to: flag ? 1 : 0)
            case .bytes(let bytes): try object.setConstant(name, bytes: bytes.raw)
            }
        }
        try object.setConstant("sluice_next", to: 1)
        try object.setConstant("sluice_on_fault", to: Verdict.next.number)
        try object.setConstant("sluice_counting", to: counting ? 1 : 0)
        try object.setConstant("sluice_frags", to: plan.frags ? 1 : 0)
        for map in object.maps {
            if let size = plan.maps[map.name]?.maxEntries { try map.setMaxEntries(Int(size)) }
            if map.isState, let earlier, earlier.object.map(map.name)?.schema(of: "") == map.schema(of: "") {
                try map.reuse(try earlier.object.loadedMap(map.name))
            } else if let target = map.predecessorOf, let old = earlier?.object.map(target),
                old.layoutName(of: "") == map.layoutName(of: "")
            {
                try map.reuse(old.loaded())
                if object.programNames.contains("sluice_merge_\(map.name)") {
                    merges.append("sluice_merge_\(map.name)")
                }
            }
        }
        try object.load(
            program: plan.program, as: ProgramKind(hook: hook.rawValue)!.taking(frags: plan.frags), with: merges)
        for (name, contents) in plan.maps {
            let map = try object.loadedMap(name)
            for entry in contents.entries { try map.update(key: entry.key.raw, value: entry.value.raw) }
            if contents.freeze { try map.freeze() }
        }
        program = try object.program(plan.program)
    }

    /// Where the objects of an executable target lie beside the running test.
    public static func objects(of target: String, package: String = "sluice") -> String {
        BuildProducts.path("\(package)_\(target).resources")
    }

    /// What the stage does with a packet, a frame from the Ethernet header on.
    /// - Parameter count: Runs it so often on the same packet, as fast as the kernel can; the outcome is the last
    /// one's.
    /// - Parameter interface: The index of the one that it seems to have come in by; nil for `lo`. A frame that is sent
    /// on goes nowhere.
    @discardableResult
    public func run(_ packet: [UInt8], repeat count: Int = 1, interface: Int? = nil) throws -> Outcome {
        // XDP's return values tell all verdicts apart; elsewhere the stage's own count says whether it went on.
        let before = hook == .xdp ? 0 : try self.count(.next)
        let run = try program.testRun(packet: packet, repeat: count, interface: interface)
        guard hook != .xdp else { return Outcome(verdict: Verdict(number: run.returnValue), packet: run.output) }
        let wentOn = try self.count(.next) > before
        return Outcome(verdict: wentOn ? .next : hook.verdict(returned: run.returnValue), packet: run.output)
    }

    /// What the kernel knows of a packet besides its bytes, at hooks whose context is a `struct __sk_buff`.
    public struct PacketContext: Sendable, Equatable {
        public var mark: UInt32
        /// The first of the control words (`cb`), which stages hand on to those behind.
        public var control: UInt32
        /// How many packets it is made of, of one that has been put together or is yet to be cut up.
        public var segments: UInt32
        /// How many bytes of payload each of these has.
        public var segmentSize: UInt32
        /// When it is to leave, in nanoseconds of `CLOCK_MONOTONIC` (`tstamp`).
        public var departure: UInt64

        public init(
            mark: UInt32 = 0, control: UInt32 = 0, segments: UInt32 = 0, segmentSize: UInt32 = 0, departure: UInt64 = 0
        ) {
            (self.mark, self.control, self.segments) = (mark, control, segments)
            (self.segmentSize, self.departure) = (segmentSize, departure)
        }

        // Where they are in the struct.
        private static let fields: [(offset: Int, path: any WritableKeyPath<PacketContext, UInt32> & Sendable)] = [
            (8, \.mark), (48, \.control), (164, \.segments), (176, \.segmentSize),
        ]

        /// As the struct lies in memory.
        var bytes: [UInt8] {
            get {
                var bytes = [UInt8](repeating: 0, count: 192)
                for (offset, path) in Self.fields {
                    bytes.replaceSubrange(offset..<offset + 4, with: BPF.bytes(of: self[keyPath: path]))
                }
                bytes.replaceSubrange(152..<160, with: BPF.bytes(of: departure))
                return bytes
            }
            set {
                for (offset, path) in Self.fields { self[keyPath: path] = Bytes(newValue).number(at: offset) }
                departure = Bytes(newValue).number(at: 152)
            }
        }
    }

    /// What the stage does with a packet of which more is known than its bytes.
    /// - Parameter context: then what the stage left of it.
    @discardableResult
    public func run(_ packet: [UInt8], context: inout PacketContext) throws -> Outcome {
        let before = try count(.next)
        let run = try program.testRun(packet: packet, context: &context.bytes)
        let wentOn = try count(.next) > before
        return Outcome(verdict: wentOn ? .next : hook.verdict(returned: run.returnValue), packet: run.output)
    }

    /// Sets an entry of a map, as the manager does for a reference to a cgroup.
    public func set(in map: String, key: [UInt8], value: [UInt8]) throws {
        try object.loadedMap(map).update(key: key, value: value)
    }

    /// Nanoseconds that the stage takes for a packet, and the kernel for running it: the mean of `count` runs.
    public func duration(_ packet: [UInt8], repeat count: Int = 1_000_000) throws -> Int {
        Int(try program.testRun(packet: packet, repeat: count).duration)
    }

    /// Runs the plan's samples, and gives those that fared otherwise than it expects, with the verdict they got.
    public func failingSamples() throws -> [(sample: Sample, verdict: Verdict?)] {
        try plan.samples.compactMap { sample in
            let verdict = try run(sample.packet.raw).verdict
            return verdict == sample.expect ? nil : (sample, verdict)
        }
    }

    /// Runs the merge programs (`SLUICE_MERGE`) on the state of the earlier stage, as the manager does after the flip.
    /// - Returns: How many entries are merged by now; another call merges none twice.
    @discardableResult
    public func mergeState() throws -> UInt64 {
        var merged: UInt64 = 0
        for name in merges {
            var words: [UInt64] = [0, 0, 0, 0]
            repeat {
                var context = BPF.bytes(of: UInt64(4096)) + [UInt8](repeating: 0, count: 24)
                try object.program(name).run(context: &context)
                words = context.withUnsafeBytes { Array($0.bindMemory(to: UInt64.self)) }
            } while words[3] != 0
            merged += words[1]
        }
        return merged
    }

    /// Its program, for those who run it otherwise.
    package func withProgram<T>(_ body: (borrowing BPFProgram) throws -> T) rethrows -> T { try body(program) }

    /// How many packets the stage gave a verdict, by its own count.
    public func count(_ verdict: Verdict) throws -> UInt64 {
        try object.loadedMap("sluice_counters").counters(at: verdict.number)?[0] ?? 0
    }

    /// One number of the plan's counter tables, summed over the CPUs; nil when there is no such table, row or column.
    public func counter(_ table: String, _ row: String, _ column: String = "packets") throws -> UInt64? {
        guard let table = plan.counters.first(where: { $0.name == table }), let index = table.rows.firstIndex(of: row),
            let position = table.columns.firstIndex(of: column)
        else { return nil }
        let latest = Set(table.columns.indices.filter { table.times.contains(table.columns[$0]) })
        return try object.loadedMap(table.map).counters(at: UInt32(index), latest: latest)?[position]
    }

    /// What the stage has put into a ring buffer since this was asked last, in order.
    public func records(of ring: String) throws -> [[UInt8]] {
        var records: [[UInt8]] = []
        try RingBuffer(reading: object.loadedMap(ring)).consume(upTo: .max) { records.append(Array($0)) }
        return records
    }

    /// A map's value; nil when the key has none.
    public func value(in map: String, key: [UInt8]) throws -> [UInt8]? {
        try object.loadedMap(map).lookup(key: key)
    }
}
