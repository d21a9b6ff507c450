// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// Builds a generation beside the running one: loads, chains and pins everything in `t<n>`. Nothing of it is visible to
/// packets until the flip, and a crash at any step leaves only a `t<n>` for the next start to remove.
struct GenerationBuilder {
    let directory: HookDirectory
    let chain: ResolvedChain
    let number: Int
    let transfer: StateTransfer
    /// Where a digest's copy of a plugin is.
    let artifact: (String) -> String

    private var target: GenerationDirectory { directory.building(number) }

    func build() throws {
        try Bpffs.makeFolder(target.path)
        FaultPoint.buildFolderMade.hit()
        let array = try BPFMap.create(
            "sluice_chain", type: .programArray, keySize: 4, valueSize: 4, maxEntries: ChainSpec.maxStages + 1)
        try array.pin(at: target.chain)
        FaultPoint.chainPinned.hit()
        for (index, stage) in chain.stages.enumerated() {
            do {
                try load(stage, slot: index + 1, into: array)
            } catch {
                throw APIErrorBody(error, during: "stage \"\(stage.name)\" (\(stage.title))")
            }
        }
        try array.freeze()
        FaultPoint.chainFilled.hit()
        // A merge program goes when it has done its work.
        let pins = try Bpffs.list(target.path).filter { !$0.hasPrefix("merge_") }
        let meta = try Manifest(chain, generation: number, taking: transfer, pins: pins).store(at: target.meta)
        for slot in 1...chain.stages.count { try BPFProgram.pinned(at: target.stage(slot)).bind(meta) }
        FaultPoint.metaPinned.hit()
    }

    /// Makes the built generation a whole one; a damaged one of that number takes its place in `t<n>`.
    func complete() throws {
        let whole = directory.generation(number).path
        if Bpffs.exists(whole) {
            try Bpffs.exchange(target.path, whole)
        } else {
            try Bpffs.rename(target.path, to: whole)
        }
        FaultPoint.generationRenamed.hit()
    }

    private func load(_ stage: ResolvedStage, slot: Int, into array: borrowing BPFMap) throws {
        let plan = stage.plan
        let object = try BPFObject(contentsOf: "\(artifact(stage.artifact))/\(plan.object)")
        try setConstants(of: object, plan: plan, slot: slot)
        let before = transfer[stage.name] ?? [:]
        var newState: [(map: ObjectMap, path: String)] = []
        let maps = object.maps
        for map in maps {
            if let entries = plan.maps[map.name]?.maxEntries { try map.setMaxEntries(Int(entries)) }
            if map.name == "sluice_chain" {
                try map.reuse(array)
            } else if let schema = stage.state[map.name] {
                let path = directory.state(stage: stage.name, map: map.name, schema: schema)
                if Bpffs.exists(path) {
                    try map.reuse(BPFMap.pinned(at: path))
                } else {
                    newState.append((map, path))
                }
            } else if let old = before[map.name] {
                try map.reuse(
                    BPFMap.pinned(at: directory.state(stage: stage.name, map: old.map, schema: old.schema)))
            } else if map.predecessorOf != nil {
                try map.setMaxEntries(1)
            }
        }
        let merges = before.filter(\.value.merges).keys.sorted()
        try object.loadXDP(
            program: plan.program, frags: chain.frags, with: merges.map(StateMaps.mergeProgram(of:)))
        FaultPoint.stageLoaded.hit()
        for (map, path) in newState {
            try Bpffs.makeFolder("\(directory.path)/state")
            try Bpffs.makeFolder("\(directory.path)/state/\(stage.name)")
            try map.loaded().pin(at: path)
            FaultPoint.stateMapPinned.hit()
        }
        let program = try object.program(plan.program)
        try program.pin(at: target.stage(slot))
        FaultPoint.stagePinned.hit()
        for name in merges {
            try object.program(StateMaps.mergeProgram(of: name)).pin(at: target.merge(slot, name))
            FaultPoint.mergePinned.hit()
        }
        for map in maps
        where stage.state[map.name] == nil && before[map.name] == nil && map.name != "sluice_chain" {
            try map.loaded().pin(at: target.map(slot, map.name))
        }
        // So that `map dump` can tell them; the programs hold them anyway.
        for section in object.dataSections {
            try section.loaded().pin(at: target.map(slot, section.sectionName!))
        }
        FaultPoint.mapsPinned.hit()
        for declared in maps {
            guard let contents = plan.maps[declared.name] else { continue }
            let map = try declared.loaded()
            for entry in contents.entries { try map.update(key: entry.key.raw, value: entry.value.raw) }
            if contents.freeze { try map.freeze() }
        }
        FaultPoint.mapsFilled.hit()
        try array.update(key: bytes(of: UInt32(slot)), value: bytes(of: program.fd.raw))
    }

    private func setConstants(of object: BPFObject, plan: StagePlan, slot: Int) throws {
        let isLast = slot == chain.stages.count
        try object.setConstant("sluice_next", to: isLast ? 0 : slot + 1)
        try object.setConstant("sluice_counting", to: chain.spec.counters ? 1 : 0)
        try object.setConstant("sluice_frags", to: chain.frags ? 1 : 0)
        try object.setConstant("sluice_on_fault", to: chain.spec.onFault.xdp)
        for (name, value) in plan.constants {
            switch value {
            case .integer(let number): try object.setConstant(name, to: number)
            case .unsigned(let number): try object.setConstant(name, to: number)
            case .boolean(let flag): try object.setConstant(name, to: flag ? 1 : 0)
            case .bytes(let bytes): try object.setConstant(name, bytes: bytes.raw)
            }
        }
    }
}

extension FaultVerdict {
    /// The verdict's number in XDP.
    var xdp: UInt32 { (self == .pass ? Verdict.pass : .drop).xdp }
}
