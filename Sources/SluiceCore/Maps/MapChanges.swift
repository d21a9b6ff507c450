// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
public import SluiceAPI

extension Manager {
    /// Sets entries of a map by hand: all are checked before the first is set, each is set at once and whole.
    public func updateMap(
        _ hook: String, stage: String, map name: String, _ request: MapUpdateRequest, by caller: Caller
    ) async throws -> MapChange {
        try await change(
            "map-update", hook, stage, name, request.generation, force: request.force, request.message, by: caller
        ) { found, map in
            guard !request.entries.isEmpty else { throw APIErrorBody.refused("there is no entry to set") }
            let cpus = map.type.isPerCPU
            let entries = try request.entries.enumerated().map { index, entry in
                let place = request.entries.count == 1 ? "" : "entries[\(index)]."
                return try found.bytes(of: entry, perCPU: cpus, at: place)
            }
            for (done, entry) in entries.enumerated() {
                do {
                    try map.update(key: entry.key, values: entry.values)
                } catch {
                    throw Self.refusal(error, by: map, "set", done, of: entries.count)
                }
            }
            let text = request.entries.prefix(3).map {
                "\(Self.text($0.key)) = \(Self.text($0.cpus.map { .array($0) } ?? $0.value ?? .null))"
            }
            return (entries.count, text, "set")
        }
    }

    public func deleteFromMap(
        _ hook: String, stage: String, map name: String, _ request: MapDeleteRequest, by caller: Caller
    ) async throws -> MapChange {
        try await change(
            "map-delete", hook, stage, name, request.generation, force: request.force, request.message, by: caller
        ) { found, map in
            guard !request.keys.isEmpty else { throw APIErrorBody.refused("there is no key to remove") }
            let keys = try request.keys.enumerated().map { index, key in
                try found.key(key, at: request.keys.count == 1 ? "" : "keys[\(index)].")
            }
            for key in keys where try map.lookupAny(key: key) == false {
                throw APIErrorBody.notFound(
                    "the map has no key \(Self.text(JSONValue(found.keyType?.value(of: key) ?? .null)))")
            }
            for (done, key) in keys.enumerated() {
                do {
                    try map.delete(key: key)
                } catch {
                    throw Self.refusal(error, by: map, "removed", done, of: keys.count)
                }
            }
            return (keys.count, request.keys.prefix(3).map(Self.text), "removed")
        }
    }

    private func change(
        _ action: String, _ hook: String, _ stage: String, _ name: String, _ generation: Int?, force: Bool,
        _ message: String, by caller: Caller,
        _ body: (StageMap, borrowing BPFMap) throws -> (count: Int, shown: [String], verb: String)
    ) async throws -> MapChange {
        try await exclusively {
            let id = try resolve(hook)
            return try await audited(action, id.description, by: caller) {
                try failing("\(action) \(id): stage \"\(stage)\": map \"\(name)\"") {
                    let place = try pinnedStage(id.description, stage, generation)
                    let found = try stageMap(name, of: place)
                    let map = try BPFMap.pinned(at: found.pin)
                    try checkChange(of: found, map, place.stage, force: force)
                    let done = try body(found, map)
                    let shown = done.shown.joined(separator: ", ") + (done.count > done.shown.count ? ", ..." : "")
                    let why = message.isEmpty ? "" : "; message: \(message)"
                    record(
                        action, id.description, outcome: "done", by: caller.name,
                        "\(done.count) entries of map \"\(name)\" of stage \"\(stage)\" in generation "
                            + "\(place.generation) \(done.verb): \(shown.prefix(400))\(why)")
                    var notes = Self.notes(on: found, map, place)
                    if let traffic = try directory(id).traffic(), let candidate = traffic.candidate,
                        found.role != .state
                    {
                        let other = place.generation == candidate ? traffic.live : candidate
                        notes.append(
                            "a canary is on: generation \(other) has a map of its own, unchanged; --generation \(other)"
                        )
                    }
                    return MapChange(
                        hook: id.description, stage: stage, map: name, generation: place.generation,
                        entries: done.count, notes: notes)
                }
            }
        }
    }

    /// Whether an operator may change a map by hand.
    private func checkChange(
        of found: StageMap, _ map: borrowing BPFMap, _ stage: ResolvedStage, force: Bool
    ) throws {
        let frozen = map.isFrozen() == true
        switch found.role {
        case .manager:
            throw APIErrorBody.refused(
                "names that begin with sluice_ are the manager's; nobody else changes these maps")
        case _ where map.type.holdsDescriptors:
            throw APIErrorBody.refused(
                "a \(map.type) holds descriptors of programs, maps or sockets, which no text can be")
        case _ where frozen:
            throw APIErrorBody.refused(
                "it is frozen: nobody can change it any more; change the configuration and apply")
        case .state where !force && stage.isPlugin:
            throw APIErrorBody.refused(
                "it is state, which only the plugin's program writes and may rely on; pass --force to change it all the same"
            )
        default: break
        }
    }

    private static func notes(on found: StageMap, _ map: borrowing BPFMap, _ place: PinnedStage) -> [String] {
        var notes: [String] = []
        if map.type.isPerCPU { notes.append("a value that was given once is now every CPU's") }
        switch found.role {
        case .state:
            notes.append("the map is state: all generations of the chain that share it see the change")
        default:
            notes.append(
                "the map belongs to generation \(place.generation): the next apply or upgrade builds another one from "
                    + "the configuration, and a rollback brings its own back")
        }
        if !place.isLive { notes.append("generation \(place.generation) is not live: no packet sees the change now") }
        if case .plugin(let plugin) = place.stage.source, plugin.runs, found.role != .state {
            notes.append("the plugin sets maps itself while the stage is live, and may undo the change")
        }
        return notes
    }

    private static func refusal(
        _ error: any Error, by map: borrowing BPFMap, _ verb: String, _ done: Int, of count: Int
    ) -> any Error {
        guard let error = error as? BPFError else { return error }
        let why =
            switch error.errno {
            case .tooBig?:
                map.type.isArray
                    ? "an array has indices from 0 to \(map.maxEntries - 1)"
                    : "it is full: it holds \(map.maxEntries) entries"
            case .invalid? where map.type.isArray:
                "an array's entries cannot be removed, only set"
            default: "\(error)"
            }
        return APIErrorBody.refused("\(why); \(done) of \(count) entries were \(verb)")
    }

    /// One line of JSON, for records.
    static func text(_ value: JSONValue) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "?"
    }
}

extension StageMap {
    func key(_ key: JSONValue, at place: String) throws -> [UInt8] {
        guard let keyType else { throw APIErrorBody.refused("the map has no keys") }
        do {
            return try keyType.bytes(of: BTFValue(key), at: "\(place)key")
        } catch {
            throw APIErrorBody.refused("\(error)")
        }
    }

    /// The bytes of an entry that somebody wrote down.
    func bytes(of entry: TypedEntry, perCPU: Bool, at place: String) throws -> (key: [UInt8], values: [[UInt8]]) {
        let key = try key(entry.key, at: place)
        guard let valueType else { throw APIErrorBody.refused("the map has no values") }
        do {
            switch (entry.cpus, entry.value) {
            case (let cpus?, _) where perCPU:
                guard cpus.count == BPFMap.possibleCPUs else {
                    throw BTFError(
                        path: "\(place)cpus",
                        message: "this machine has \(BPFMap.possibleCPUs) possible CPUs, not \(cpus.count)")
                }
                return (
                    key,
                    try cpus.enumerated().map { try valueType.bytes(of: BTFValue($1), at: "\(place)cpus[\($0)]") }
                )
            case (nil, let value?):
                let bytes = try valueType.bytes(of: BTFValue(value), at: "\(place)value")
                return (key, [[UInt8]](repeating: bytes, count: perCPU ? BPFMap.possibleCPUs : 1))
            case (nil, nil):
                throw BTFError(path: "\(place)value", message: "missing; wanted is \(valueType)")
            default:
                throw BTFError(path: "\(place)cpus", message: "the map is not per CPU; give a value")
            }
        } catch let error as BTFError {
            throw APIErrorBody.refused("\(error)")
        }
    }
}
