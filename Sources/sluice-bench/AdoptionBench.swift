// SPDX-License-Identifier: Apache-2.0

import BPF
import SluiceObjects
import StageKit
import StageTesting

/// What adoption adds to an object: the same packet through the root and the object alone in its slot, and through the
/// root and the object woven into a stage by the real manager, sample by sample side by side.
enum AdoptionBench {
    static let packets = 300_000
    static let samples = 51

    /// Hooks to hold one chain each; the chains before and behind hold `noop`s.
    private enum Chain: String, CaseIterable {
        case only, onlyCounted, between, betweenCounted, without, withoutCounted

        var counters: Bool { rawValue.hasSuffix("Counted") }
        var hook: String { "adopt\(Chain.allCases.firstIndex(of: self)!)" }

        func spec(_ subject: Subject) -> String {
            let object = "      - {name: \(subject.program), object: \(subject.path)#\(subject.program)}\n"
            let stages =
                switch self {
                case .only, .onlyCounted: object
                case .between, .betweenCounted: noop(1) + object + noop(2)
                case .without, .withoutCounted: noop(1) + noop(2)
                }
            return "chains:\n  - hook: xdp:\(hook)\n    counters: \(counters)\n    stages:\n\(stages)"
        }

        private func noop(_ number: Int) -> String { "      - {name: s\(number), plugin: noop}\n" }
    }

    private struct Subject {
        var program: String
        var path: String
        var note = ""

        static func debian(_ name: String) -> Subject {
            Subject(program: name, path: "/usr/lib/x86_64-linux-gnu/bpf/\(name).o")
        }

        static func ours(_ program: String, note: String = "") -> Subject {
            Subject(program: program, path: BuildProducts.object("shapes", of: "fixture-stage"), note: note)
        }

        /// Puts rules into a map that the packet meets: for those of xdp-filter's that drop what no rule allows.
        func fill(_ map: borrowing BPFMap) throws {
            guard program.contains("_dny_") else { return }
            let match = [UInt8](repeating: 0xff, count: map.valueSize)
            switch map.name {
            case "filter_ports":
                for port: UInt32 in [53, 53 << 8] { try map.update(key: bytes(of: port), value: match) }
            case "filter_ipv4":
                for last: UInt8 in [1, 2] { try map.update(key: [10, 9, 0, last], value: match) }
            default: break
            }
        }
    }

    static func run(_ lab: Lab) throws -> [Figure] {
        let site = try LabSite(lab, plugins: ["noop"])
        try site.start()
        for chain in Chain.allCases { try lab.addVeth(VethEnd(chain.hook), VethEnd("\(chain.hook)peer")) }
        let subjects: [Subject] =
            ["alw_all", "dny_all", "alw_udp", "dny_udp", "alw_ip", "dny_ip"].map { .debian("xdpfilt_\($0)") }
            + [
                .ours("many_exits"), .ours("static_functions"), .ours("loop_callback"),
                .ours("deep", note: "; called, as it leaves no stack"),
            ]
        return try subjects.flatMap { try measure($0, site) }
    }

    private static func measure(_ subject: Subject, _ site: LabSite) throws -> [Figure] {
        let object = try BPFObject(contentsOf: subject.path)
        try object.load(program: subject.program, as: .xdp)
        for map in object.maps { try subject.fill(object.loadedMap(map.name)) }
        let alone = try object.program(subject.program)
        let packet = try passing(alone)
        let root = try BPFObject(own: .root, for: .xdp)
        try root.load(program: OwnProgram.root.rawValue, as: .xdp)
        try root.loadedMap("sluice_entry").update(key: bytes(of: UInt32(0)), value: bytes(of: alone.fd.raw))
        var programs = try [
            Held(ChainBench.bareReturn()), Held(object.program(subject.program)),
            Held(root.program(OwnProgram.root.rawValue)),
        ]
        for chain in Chain.allCases {
            try site.apply(chain.spec(subject))
            let pins = "\(site.bpffs)/xdp:\(chain.hook)"
            for pin in try site.pins() where pin.hasPrefix(pins) && pin.contains("/filter_") {
                try subject.fill(BPFMap.pinned(at: pin))
            }
            programs.append(Held(try BPFProgram.pinned(at: "\(pins)/root")))
        }

        var all = [Series](repeating: Series(), count: programs.count)
        for sample in 0...samples {
            for (index, held) in programs.enumerated() {
                let run = try held.program.testRun(packet: packet, repeat: packets)
                // The first warms up.
                if sample > 0 { all[index].add(Double(run.duration)) }
            }
        }
        let (floor, single, slot) = (all[0], all[1], all[2])
        func series(_ chain: Chain) -> Series { all[3 + Chain.allCases.firstIndex(of: chain)!] }
        func told(_ series: Series, _ added: Series, _ what: String) -> Figure {
            Figure(
                "\(subject.program)\(what)", "ns", series,
                note: "adds \(added.minimum.short) (\(added.median.short)) ns\(subject.note)")
        }
        let own = single - floor
        return [
            Figure("\(subject.program), alone", "ns", single, note: "floor \(floor.minimum.short)"),
            Figure("\(subject.program), alone behind the root", "ns", slot),
            told(series(.only), series(.only) - slot, ", adopted"),
            told(series(.onlyCounted), series(.onlyCounted) - slot, ", adopted and counted"),
            told(series(.between), series(.between) - series(.without) - own, ", between two"),
            told(
                series(.betweenCounted), series(.betweenCounted) - series(.withoutCounted) - own,
                ", between two and counted"),
        ]
    }

    /// Owns a program, as an array cannot.
    private final class Held {
        let program: BPFProgram
        init(_ program: consuming BPFProgram) { self.program = program }
    }

    /// A packet that the program lets pass, so that the walk goes on behind it.
    private static func passing(_ program: borrowing BPFProgram) throws -> [UInt8] {
        for value in 0...255 as ClosedRange<UInt8> {
            var packet = ChainBench.packet
            if value > 0 { for place in Array(20..<26) + Array(40..<43) { packet[place] = value } }
            if try program.testRun(packet: packet).returnValue == Verdict.pass.number { return packet }
        }
        throw LabError("it lets none of the packets pass")
    }
}
