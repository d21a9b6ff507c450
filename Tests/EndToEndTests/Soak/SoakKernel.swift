// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import SluiceAPI
import StageTesting

@testable import SluiceCore

/// The kernel, the pins and the artifacts, read with no help of the manager's: what of them is not as the model says.
struct SoakKernel {
    let site: Site
    private let hook: HookDirectory

    init(_ site: Site) throws {
        self.site = site
        hook = HookDirectory(try HookID(parsing: "xdp:edge0"), in: site.bpffs)
    }

    /// All generations that are pinned and whole.
    func generations() -> [Int] {
        Self.names(in: hook.path).filter { $0.hasPrefix("g") }.compactMap { Int($0.dropFirst()) }.sorted()
    }

    /// Where the root's slot sends packets: to the first stage of a generation, or through a splitter to those of two.
    func course() throws -> SoakCourse {
        guard Bpffs.exists(hook.entry) else { return SoakCourse() }
        let slot = try BPFMap.pinned(at: hook.entry).lookup(key: bytes(of: UInt32(0)))
        func whose(_ program: [UInt8]?) throws -> Int? {
            try generations().first { try bytes(of: BPFProgram.pinned(at: hook.generation($0).stage(1)).id) == program }
        }
        let canary = hook.canary
        guard Bpffs.exists(canary.splitter), try bytes(of: BPFProgram.pinned(at: canary.splitter).id) == slot else {
            return SoakCourse(live: try whose(slot))
        }
        let sides = try BPFMap.pinned(at: canary.sides)
        return SoakCourse(
            live: try whose(sides.lookup(key: bytes(of: UInt32(0)))),
            candidate: try whose(sides.lookup(key: bytes(of: UInt32(1)))))
    }

    func faults(_ model: SoakModel) -> [String] {
        do {
            return model.live == nil ? try remains(model) : try chainFaults(model)
        } catch {
            return ["\(error)"]
        }
    }

    /// What is there though there is no chain.
    private func remains(_ model: SoakModel) throws -> [String] {
        var faults = Self.names(in: site.bpffs).map { "there is no chain, but a pin \"\($0)\"" }
        if model.hasInterface, try !attached().isEmpty { faults.append("there is no chain, but a program on edge0") }
        return faults
    }

    private func chainFaults(_ model: SoakModel) throws -> [String] {
        var faults = SoakFaults()
        let fixed = ["root", "link", "entry", "fallback"] + (model.candidate == nil ? [] : ["canary"])
        faults.expect(
            "pins", Self.names(in: hook.path).filter { $0 != "state" }.sorted(),
            (fixed + model.generations.keys.map { "g\($0)" }).sorted())
        faults.expect("course", try course(), model.course)
        if model.candidate != nil {
            let pins = ["counts", "meta", "sides", "splitter", "step"]
            faults.expect("pins of the canary", Self.names(in: hook.canary.path).sorted(), pins)
        }
        let root = try BPFProgram.pinned(at: hook.root).id
        let link = try BPFLink.pinned(at: hook.link).info()
        faults.expect("the link's program", link.programID, root)
        if let index = XDP.interfaceIndex("edge0"), model.hasInterface {
            faults.expect("the link's interface", link.interface, index)
            faults.expect("programs on edge0", try attached(), ["\(root) native"])
        } else {
            faults.expect("the link's interface", link.interface, 0)
        }
        var state: Set<String> = []
        for (number, recipe) in model.generations.sorted(by: { $0.key < $1.key }) {
            let generation = hook.generation(number)
            let manifest = try Manifest(pinnedAt: generation.meta)
            // A candidate merges old state when it goes live.
            let pins = Self.names(in: generation.path).filter { number != model.candidate || !$0.hasPrefix("merge_") }
            faults.expect("pins of g\(number)", pins.sorted(), (manifest.pins + ["meta"]).sorted())
            faults.expect(
                "stages of g\(number)", manifest.stages.map { "\($0.name) \($0.record.title)" }, recipe.titles)
            let array = try BPFMap.pinned(at: generation.chain)
            for slot in 1...manifest.stages.count {
                let id = try BPFProgram.pinned(at: generation.stage(slot)).id
                faults.expect(
                    "slot \(slot) of g\(number)", try array.lookup(key: bytes(of: UInt32(slot))), bytes(of: id))
            }
            for stage in manifest.stages {
                state.formUnion(stage.state.map { "\(stage.name)/\($0.key)_\($0.value)" })
                state.formUnion(
                    stage.before.values.filter { !$0.merges }.map { "\(stage.name)/\($0.map)_\($0.schema)" })
            }
        }
        let pinned = Self.names(in: "\(hook.path)/state").flatMap { stage in
            Self.names(in: "\(hook.path)/state/\(stage)").map { "\(stage)/\($0)" }
        }
        faults.expect("pins of state", pinned.sorted(), state.sorted())
        return faults.lines
    }

    /// Packets that saw two generations, over all pinned ones.
    func mixed(_ model: SoakModel) throws -> UInt64 {
        try model.generations.keys.map { number in
            let stage = try Manifest(pinnedAt: hook.generation(number).meta).stages.first { $0.name == "check" }!
            let map = try BPFMap.pinned(at: hook.state(stage: "check", map: "marks", schema: stage.state["marks"]!))
            return try map.counters(at: 0)![1]
        }.max() ?? 0
    }

    /// The artifacts that the pinned generations were built from.
    func artifacts(_ model: SoakModel) throws -> Set<String> {
        Set(
            try model.generations.keys.flatMap {
                try Manifest(pinnedAt: hook.generation($0).meta).stages.map(\.artifact)
            })
    }

    private func attached() throws -> [String] {
        guard let index = XDP.interfaceIndex("edge0") else { return [] }
        return try XDP.attached(to: index).map { "\($0.programID) \($0.mode)" }
    }

    static func names(in folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }
}
