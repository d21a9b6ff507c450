// SPDX-License-Identifier: Apache-2.0

internal import BPF
public import SluiceAPI
internal import StageKit

/// A stage of a generation that is pinned.
struct PinnedStage {
    var hook: HookID
    var generation: Int
    var isLive: Bool
    /// From 1 on.
    var slot: Int
    var stage: ResolvedStage
}

extension Manager {
    /// How many entries are counted for a list: the rest would keep changes waiting.
    private static let countLimit = 65_536

    public func maps(_ hook: String, stage: String, generation: Int?) throws -> StageMaps {
        try failing("map list \(hook) \(stage)") {
            let place = try pinnedStage(hook, stage, generation)
            let maps = try stageMaps(of: place).map { found in
                let map = try BPFMap.pinned(at: found.pin)
                return found.info(of: map, counted: Self.count(map))
            }
            return StageMaps(hook: place.hook.description, stage: stage, generation: place.generation, maps: maps)
        }
    }

    public func map(_ hook: String, stage: String, map name: String, generation: Int?, limit: Int) throws -> MapDump {
        try failing("map dump \(hook) \(stage) \(name)") {
            let place = try pinnedStage(hook, stage, generation)
            let found = try stageMap(name, of: place)
            let map = try BPFMap.pinned(at: found.pin)
            let (entries, more) = try map.entries(limit: max(1, limit))
            let perCPU = map.type.isPerCPU
            return MapDump(
                hook: place.hook.description, stage: stage, generation: place.generation,
                map: found.info(of: map, counted: (entries.count, more)),
                entries: entries.map { found.entry($0, perCPU: perCPU) })
        }
    }

    /// How many entries a map has, as far as they are counted; nil where they cannot be.
    private static func count(_ map: borrowing BPFMap) -> (entries: Int, more: Bool)? {
        // Every index of an array is there.
        if map.type.isArray { return (map.maxEntries, false) }
        return (try? map.entries(limit: countLimit)).map { ($0.entries.count, $0.more) }
    }

    /// The stage that somebody named, in the live generation unless told otherwise.
    func pinnedStage(_ hook: String, _ name: String, _ generation: Int?) throws -> PinnedStage {
        let id = try resolve(hook)
        let directory = directory(id)
        let traffic = try directory.traffic()
        guard let number = generation ?? traffic?.live else { throw notLive(id) }
        let pinned = try directory.generations()
        guard pinned.contains(number) else {
            throw APIErrorBody.notFound(
                "generation \(number) is not in the kernel; kept are: \(pinned.map(String.init).joined(separator: ", "))"
            )
        }
        guard let stored = try store.generation(number, of: id.description) else {
            throw APIErrorBody.conflict("the database has no record of generation \(number); see `sluicectl doctor`")
        }
        guard let index = stored.resolved.stages.firstIndex(where: { $0.name == name }) else {
            let names = stored.resolved.stages.map(\.name).joined(separator: ", ")
            throw APIErrorBody.notFound("generation \(number) has no stage \"\(name)\"; it has: \(names)")
        }
        return PinnedStage(
            hook: id, generation: number, isLive: number == traffic?.live || number == traffic?.candidate,
            slot: index + 1, stage: stored.resolved.stages[index])
    }

    func stageMap(_ name: String, of place: PinnedStage) throws -> StageMap {
        let maps = try stageMaps(of: place)
        guard let found = maps.first(where: { $0.name == name }) else {
            let names = maps.map(\.name).joined(separator: ", ")
            throw APIErrorBody.notFound("the stage has no map \"\(name)\"; it has: \(names)")
        }
        return found
    }

    /// The stage's maps, in the object's order, with their types from the object it was built from: asking the kernel
    /// for a map's BTF needs CAP_SYS_ADMIN.
    func stageMaps(of place: PinnedStage) throws -> [StageMap] {
        let directory = directory(place.hook)
        let generation = directory.generation(place.generation)
        let stage = place.stage
        let object: BPFObject
        do {
            object = try BPFObject(contentsOf: "\(artifacts.path(stage.artifact))/\(stage.plan.object)")
        } catch {
            throw APIErrorBody.conflict(
                "the object that the stage was built from, which knows its maps' types, cannot be read: \(error); see "
                    + "`sluicectl doctor`")
        }
        // A predecessor is an older layout's state, told under that generation.
        var maps = object.maps.filter { $0.predecessorOf == nil }.map { map in
            let pin =
                if map.name == "sluice_chain" {
                    generation.chain
                } else if let schema = stage.state[map.name] {
                    directory.state(stage: stage.name, map: map.name, schema: schema)
                } else {
                    generation.map(place.slot, map.name)
                }
            let role: MapRole =
                map.name.hasPrefix("sluice_") ? .manager : stage.state[map.name] != nil ? .state : .configuration
            return StageMap(name: map.name, pin: pin, role: role, keyType: map.keyType, valueType: map.valueType)
        }
        maps += object.dataSections.map { map in
            let name = map.sectionName!
            return StageMap(
                name: name, pin: generation.map(place.slot, name), role: .data, keyType: .index,
                valueType: map.valueType)
        }
        return maps.filter { Bpffs.exists($0.pin) }
    }
}
