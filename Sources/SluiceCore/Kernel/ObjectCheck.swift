// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// Holds a plugin's plan against the object it names, before anything is loaded: the plan is untrusted input.
struct ObjectCheck {
    let stage: String
    let plugin: String
    let plan: StagePlan
    let object: BPFObject

    /// The object's state maps.
    /// - Throws: when the plan asks for what the object does not have, or the object does not keep the stage ABI.
    func run() throws -> StateMaps {
        guard object.programNames.contains(plan.program), !plan.program.hasPrefix("sluice_") else {
            throw failure("it names the program \"\(plan.program)\"; \(plan.object) has: \(list(object.programNames))")
        }
        for constant in ["sluice_next", "sluice_counting", "sluice_frags", "sluice_on_fault"]
        where !object.constantNames.contains(constant) {
            throw failure(
                "\(plan.object) has no constant \"\(constant)\"; build the stage with the header of its hook, as <sluice/xdp_stage.h>"
            )
        }
        guard let chain = object.map("sluice_chain"), chain.type == .programArray,
            chain.maxEntries == ChainSpec.maxStages + 1,
            let counters = object.map("sluice_counters"), counters.type == .perCPUArray, counters.valueSize == 16,
            counters.maxEntries == CounterRow.count
        else {
            throw failure(
                "\(plan.object) does not keep the stage ABI; build the stage with the header of its hook, as <sluice/xdp_stage.h>"
            )
        }
        for constant in plan.constants.keys where constant.hasPrefix("sluice_") {
            throw failure("it sets \"\(constant)\"; names that begin with sluice_ are the manager's")
        }
        let maps = object.maps
        // They stand in the paths of pins.
        for map in maps where !PluginName.isIdentifier(map.name) {
            throw failure("\(plan.object) has a map \"\(map.name)\", which is not a C name of at most 63 characters")
        }
        for (name, contents) in plan.maps {
            guard let map = maps.first(where: { $0.name == name }), !name.hasPrefix("sluice_") else {
                let own = maps.map(\.name).filter { !$0.hasPrefix("sluice_") }
                throw failure("it asks for the map \"\(name)\"; \(plan.object) has: \(list(own))")
            }
            try check(contents, of: map)
        }
        for table in plan.counters { try check(table, maps) }
        if let ring = plan.ring { try check(ring: ring, maps) }
        for reference in plan.cgroups { try check(reference, maps) }
        try checkLive(maps)
        let state = StateMaps(of: object, owner: plugin)
        for declared in state.predecessors where state.schemas[declared.map] == nil {
            throw failure(
                "\(plan.object) declares \"\(declared.name)\" as what was before \"\(declared.map)\", which is none of its "
                    + "state maps; it has: \(list(state.schemas.keys.sorted()))")
        }
        return state
    }

    private func check(_ contents: MapPlan, of map: ObjectMap) throws {
        guard map.predecessorOf == nil else {
            throw failure("it asks for the map \"\(map.name)\", in whose place the manager puts an earlier version's")
        }
        if let entries = contents.maxEntries {
            guard (1...(1 << 26)).contains(entries) else {
                throw failure("it gives the map \"\(map.name)\" \(entries) entries; possible are 1 to 67,108,864")
            }
            // Here and not only at load: the size is part of a state map's schema.
            try map.setMaxEntries(Int(entries))
        }
        guard !map.isState || contents.entries.isEmpty else {
            throw failure("it fills the state map \"\(map.name)\"; state is only ever written by the program")
        }
        // The plugin's number would be taken for one of the manager's own descriptors.
        guard !map.type.holdsDescriptors || contents.entries.isEmpty else {
            throw failure("it fills the map \"\(map.name)\", a \(map.type), whose values are descriptors")
        }
        guard contents.entries.count <= map.maxEntries else {
            throw failure(
                "it puts \(contents.entries.count) entries into the map \"\(map.name)\", which holds \(map.maxEntries)")
        }
        for entry in contents.entries
        where entry.key.raw.count != map.keySize || entry.value.raw.count != map.valueSize {
            throw failure(
                "an entry for the map \"\(map.name)\" has a key of \(entry.key.raw.count) and a value of "
                    + "\(entry.value.raw.count) bytes; the map's have \(map.keySize) and \(map.valueSize)")
        }
    }

    private func check(ring name: String, _ maps: [ObjectMap]) throws {
        guard let map = maps.first(where: { $0.name == name }), map.type == .ringBuffer else {
            throw failure(
                "its records are to come from \"\(name)\"; the ring buffers of \(plan.object) are: "
                    + list(maps.filter { $0.type == .ringBuffer }.map(\.name)))
        }
        // A generation's records are its own: that of a canary and the live one have a reader each.
        guard !map.isState, map.predecessorOf == nil else {
            throw failure("its records are to come from \"\(name)\", which is state; a ring of records cannot be")
        }
    }

    private func check(_ reference: CgroupReference, _ maps: [ObjectMap]) throws {
        let name = reference.map
        guard let map = maps.first(where: { $0.name == name }), !name.hasPrefix("sluice_"),
            [MapType.array, .hash].contains(map.type), !map.isState, map.predecessorOf == nil,
            map.keySize == reference.key.raw.count, map.valueSize == Cgroups.referenceSize,
            plan.maps[name]?.freeze != true
        else {
            throw failure(
                "it wants the number of the cgroup \(reference.cgroup) in \"\(name)\"; that takes an array or a hash, no "
                    + "state and not frozen, with keys of \(reference.key.raw.count) and values of "
                    + "\(Cgroups.referenceSize) bytes")
        }
    }

    /// What `change` sets must be there, be of a type that it can, and not be too much to read each time.
    private func checkLive(_ maps: [ObjectMap]) throws {
        var (entries, bytes) = (0, 0)
        for name in plan.live {
            guard let map = maps.first(where: { $0.name == name }), !name.hasPrefix("sluice_"), map.predecessorOf == nil
            else {
                throw failure("it says that the map \"\(name)\" is changed while live; \(plan.object) has no such map")
            }
            guard [MapType.array, .hash, .lpmTrie, .perCPUArray].contains(map.type) else {
                throw failure(
                    "it says that the map \"\(name)\" is changed while live; a \(map.type) cannot be, only array, hash, "
                        + "lpm_trie and percpu_array")
            }
            guard plan.maps[name]?.freeze != true else {
                throw failure("it says that the map \"\(name)\" is changed while live, and freezes it")
            }
            entries += map.maxEntries
            bytes += map.maxEntries * (map.keySize + map.valueSize * (map.type.isPerCPU ? BPFMap.possibleCPUs : 1))
        }
        guard entries <= AnswerLimits.liveEntries, bytes <= AnswerLimits.liveBytes else {
            throw failure(
                "the maps that are changed while live have \(entries) entries and \(bytes) bytes; at most "
                    + "\(AnswerLimits.liveEntries) and \(AnswerLimits.liveBytes) can be")
        }
    }

    private func check(_ table: CounterTable, _ maps: [ObjectMap]) throws {
        guard let map = maps.first(where: { $0.name == table.map }) else {
            throw failure(
                "its counters \"\(table.name)\" are in the map \"\(table.map)\", which \(plan.object) does not have")
        }
        guard [MapType.array, .perCPUArray].contains(map.type), map.keySize == 4,
            map.valueSize == 8 * table.columns.count, table.rows.count <= map.maxEntries
        else {
            throw failure(
                "its counters \"\(table.name)\" need an array of \(table.columns.count) 64-bit numbers with at least "
                    + "\(table.rows.count) rows; \"\(table.map)\" is a \(map.type) of \(map.maxEntries) times \(map.valueSize) bytes"
            )
        }
    }

    private func failure(_ message: String) -> APIErrorBody {
        APIErrorBody(
            code: "bad-plan", message: "stage \"\(stage)\": the plan of plugin \"\(plugin)\" cannot work: \(message)")
    }

    private func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }
}
