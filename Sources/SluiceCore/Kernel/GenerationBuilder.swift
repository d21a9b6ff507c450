// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import SluiceObjects
internal import StageKit

/// Builds a generation beside the running one: loads, chains and pins everything in `t<n>`. Nothing of it is visible to
/// packets until the flip, and a crash at any step leaves only a `t<n>` for the next start to remove.
struct GenerationBuilder {
    let directory: HookDirectory
    let chain: ResolvedChain
    let number: Int
    let transfer: StateTransfer
    var inherited: InheritedMaps = [:]
    /// What changes of a live stage wrote to one of its maps; of a state map with its schema.
    var written: (_ stage: String, _ map: String, _ schema: String?) throws -> [MapEntry] = { _, _, _ in [] }
    /// Where a digest's copy of a plugin or an object is.
    let artifact: (String) -> String

    private var target: GenerationDirectory { directory.building(number) }
    /// What all programs of the hook's arrays are.
    private var kind: ProgramKind { directory.hook.program(frags: chain.frags) }

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
        try setConstants(of: object, plan: plan)
        let before = transfer[stage.name] ?? [:]
        var newState: [(map: ObjectMap, path: String)] = []
        let maps = object.maps
        for map in maps {
            if let entries = plan.maps[map.name]?.maxEntries { try map.setMaxEntries(Int(entries)) }
            if let schema = stage.state[map.name] {
                let path = directory.state(stage: stage.name, map: map.name, schema: schema)
                if Bpffs.exists(path) {
                    try map.reuse(BPFMap.pinned(at: path))
                } else {
                    if let id = inherited[stage.name]?[map.name] { try map.reuse(TakeOver.map(id, map.name)) }
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
        // What keeps the stage ABI: the object itself, or around an adopted one's program our own.
        let (frame, name): (BPFObject, String)
        if case .adopted(let adopted) = stage.source {
            (frame, name) = try weave(object, plan.program, adopted, slot: slot, into: array)
        } else {
            (frame, name) = (object, plan.program)
            try setPlace(of: object, slot: slot, in: array)
            try object.load(program: plan.program, as: kind, with: merges.map(StateMaps.mergeProgram(of:)))
        }
        let program = try frame.program(name)
        FaultPoint.stageLoaded.hit()
        for (map, path) in newState {
            try Bpffs.makeFolder("\(directory.path)/state")
            try Bpffs.makeFolder("\(directory.path)/state/\(stage.name)")
            try map.loaded().pin(at: path)
            FaultPoint.stateMapPinned.hit()
        }
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
        if !stage.isPlugin {
            try frame.loadedMap("sluice_counters").pin(at: target.map(slot, "sluice_counters"))
        }
        FaultPoint.mapsPinned.hit()
        for declared in maps {
            guard let contents = plan.maps[declared.name] else { continue }
            let map = try declared.loaded()
            for entry in contents.entries { try map.update(key: entry.key.raw, value: entry.value.raw) }
            if contents.freeze { try map.freeze() }
        }
        for reference in plan.cgroups {
            try object.loadedMap(reference.map)
                .update(key: reference.key.raw, value: Cgroups.reference(to: reference.cgroup))
        }
        try restore(stage, object, newState: Set(newState.map(\.map.name)))
        FaultPoint.mapsFilled.hit()
        try array.update(key: bytes(of: UInt32(slot)), value: bytes(of: program.fd.raw))
    }

    /// Sets again what changes of the live stage wrote to maps that are made anew, where it still fits.
    private func restore(_ stage: ResolvedStage, _ object: BPFObject, newState: Set<String>) throws {
        for name in stage.plan.live where stage.state[name] == nil || newState.contains(name) {
            guard let map = try object.map(name)?.loaded() else { continue }
            for entry in try written(stage.name, name, stage.state[name])
            where entry.key.raw.count == map.keySize && entry.value.raw.count == map.wholeValueSize {
                try map.update(key: entry.key.raw, whole: entry.value.raw)
            }
        }
    }

    /// Loads an adopted object as it is, so that the verifier has its say on it alone, and then woven into a stage.
    /// - Returns: Our own object around it, and the program in that.
    private func weave(
        _ object: BPFObject, _ program: String, _ adopted: AdoptedObject, slot: Int, into array: borrowing BPFMap
    ) throws -> (BPFObject, String) {
        let code = try object.loadCode(program: program, as: kind, companions: object.companions(of: kind))
        func load(_ own: OwnProgram) throws -> (BPFObject, String) {
            let frame = try BPFObject(own: own, for: kind)
            try setPlace(of: frame, slot: slot, in: array)
            try frame.setConstant("sluice_proceed_on", to: adopted.proceedOn.reduce(0) { $0 | 1 << $1.number })
            try frame.letSecondBitThrough(at: directory.hook.kind)
            try frame.load(
                program: own.rawValue, as: kind, around: code, named: program, called: own == .adoptCalled)
            return (frame, own.rawValue)
        }
        if !code.tailCalls, let woven = try? load(.adopt) { return woven }
        return try load(.adoptCalled)
    }

    /// Tells a stage its place in the chain.
    private func setPlace(of object: BPFObject, slot: Int, in array: borrowing BPFMap) throws {
        try object.map("sluice_chain")?.reuse(array)
        let isLast = slot == chain.stages.count
        try object.setConstant("sluice_next", to: isLast ? 0 : slot + 1)
        try object.setConstant("sluice_counting", to: chain.spec.counters ? 1 : 0)
        try object.setConstant("sluice_frags", to: chain.frags ? 1 : 0)
        try object.setConstant("sluice_on_fault", to: chain.spec.onFault.number)
    }

    private func setConstants(of object: BPFObject, plan: StagePlan) throws {
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
    /// The verdict's number in a stage.
    var number: UInt32 { (self == .pass ? Verdict.pass : .drop).number }
}
