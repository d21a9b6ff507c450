// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// What becomes of one state map of the live generation in the next one.
struct StateFate {
    var stage: String
    var map: String
    /// The fate in words, to go on after the map's name.
    var text: String
    /// Whether the map simply goes on.
    var isShared = false
    /// What the new generation takes over from.
    var before: [String: Predecessor] = [:]

    var note: String { "stage \"\(stage)\": state map \"\(map)\" \(text)" }
}

extension Manager {
    /// What becomes of the live generation's state, map by map; where a layout or size differs, as the plugin says.
    /// - Parameter maps: what the new chain's objects declare, by stage.
    /// - Throws: when the plugin refuses, or what it answers cannot be done.
    func fates(
        of live: StoredGeneration?, in chain: ResolvedChain, _ maps: [String: StateMaps]
    ) async throws -> [StateFate] {
        guard let live else { return [] }
        let directory = directory(try HookID(parsing: chain.spec.hook))
        let running = try Manifest(pinnedAt: directory.generation(live.number).meta)
        var fates: [StateFate] = []
        for old in live.resolved.stages {
            let new = chain.stages.first { $0.name == old.name && $0.owner == old.owner }
            let lazy = running.stages.first { $0.name == old.name }?.before.values.filter { !$0.merges } ?? []
            for (map, schema) in old.state.sorted(by: { $0.key < $1.key }) {
                var fate = StateFate(stage: old.name, map: map, text: "")
                if let new, let declared = maps[new.name], let wanted = new.state[map] {
                    if wanted == schema {
                        fate.isShared = true
                        fate.text = "is shared with generation \(live.number)"
                    } else {
                        try await settle(&fate, from: old, schema, to: new, declared, live.number, directory)
                    }
                    inherit(lazy.filter { $0.map == map }, &fate, declared)
                } else {
                    fate.text = "is used no more; a rollback to generation \(live.number) finds it as it is now"
                }
                fates.append(fate)
            }
        }
        return fates
    }

    /// What an older generation's map has left to be taken over goes on to be, where the object still declares it.
    private func inherit(_ lazy: [Predecessor], _ fate: inout StateFate, _ declared: StateMaps) {
        let merges = fate.before.values.contains(where: \.merges)
        for old in lazy {
            if !merges, let place = declared.predecessor(of: old.map, fitting: old.schema) {
                if fate.before[place.name] == nil { fate.before[place.name] = old }
            } else {
                fate.isShared = false
                fate.text += "; what it has not taken over yet of an older layout is used no more"
            }
        }
    }

    /// Asks the plugin about a state map whose layout or size differs from the live one's, and finds out whether the
    /// object can do what it answers.
    private func settle(
        _ fate: inout StateFate, from old: ResolvedStage, _ schema: String, to stage: ResolvedStage,
        _ declared: StateMaps, _ live: Int, _ directory: HookDirectory
    ) async throws {
        let map = fate.map
        let wanted = stage.state[map]!
        let what = "\(directory.hook): stage \"\(stage.name)\": state map \"\(map)\""
        guard case .plugin(let plugin) = stage.source, case .plugin(let older) = old.source else {
            throw APIErrorBody.refused(
                "\(what) has another layout or size than in generation \(live), and an adopted object cannot say what "
                    + "becomes of its data; keep the layout and the size, or give the stage another name, with which its "
                    + "state starts empty")
        }
        let question = MigrationRequest(
            map: map, fromVersion: older.version, fromSchema: schema, toSchema: wanted)
        let installed = try plugins.find(plugin.name, version: plugin.version, stage: stage.name)
        let answer = try await plugins.migrate(installed, question)
        guard answer != .refuse else {
            throw APIErrorBody.refused(
                "\(what) has another layout or size than in generation \(live) (\(old.title)), and its plugin refuses to "
                    + "start it empty; keep the layout and the size, or detach the hook and apply again, which loses that "
                    + "state")
        }
        var before: Predecessor?
        if answer == .merge || answer == .lazy {
            guard let place = declared.predecessor(of: map, fitting: schema),
                answer == .lazy || place.merges
            else {
                let missing =
                    declared.predecessor(of: map, fitting: schema) == nil
                    ? "declares no map of the layout that version \(older.version) has (SLUICE_STATE_BEFORE)"
                    : "has no program that merges it (SLUICE_MERGE)"
                throw APIErrorBody(
                    code: "bad-plan",
                    message:
                        "\(what): plugin \"\(plugin.name)\" \(plugin.version) answers `\(answer.rawValue)`, but its "
                        + "\(stage.plan.object) \(missing); nothing was changed; the plugin or its object is wrong")
            }
            before = Predecessor(map: map, schema: schema, merges: answer == .merge)
            if answer == .lazy { fate.before[place.name] = before }
            if answer == .merge, !isThere(map, wanted) { fate.before[place.name] = before }
        }
        func isThere(_ map: String, _ schema: String) -> Bool {
            Bpffs.exists(directory.state(stage: stage.name, map: map, schema: schema))
        }
        if isThere(map, wanted) {
            // It went along with a generation that is still kept. To merge into it again would count twice.
            fate.text = "is as \(try whoLeft(map, wanted, of: stage, directory.hook))"
            fate.text +=
                answer == .lazy
                ? "; what it does not have is taken over from generation \(live) on first use"
                : "; what generation \(live) has counted stays with generation \(live)"
            return
        }
        let count = try entries(directory.state(stage: stage.name, map: map, schema: schema))
        switch answer {
        case .drop, .refuse: fate.text = "has another layout or size; it starts empty, as its plugin says"
        case .lazy:
            fate.text =
                "has another layout or size; generation \(live)'s \(count.text) entries are taken over on first use"
        case .merge:
            guard count.number <= StateMaps.capacity(of: wanted) else {
                throw APIErrorBody.refused(
                    "\(what) has \(count.text) entries in generation \(live), and the new one has room for "
                        + "\(StateMaps.capacity(of: wanted)); give it more")
            }
            fate.text =
                "has another layout or size; generation \(live)'s \(count.text) entries are merged into it after the flip"
        }
    }

    /// How many entries a pinned map has; of a huge one only that it has many.
    private func entries(_ pin: String) throws -> (number: Int, text: String) {
        let many = 1_000_000
        let count = try BPFMap.pinned(at: pin).count(upTo: many)
        return (count, count < many ? "\(count)" : "\(many) or more")
    }

    /// `generation 3 left it at 2026-05-01T12:03:11Z`: the last one that wrote to a state map.
    func whoLeft(_ map: String, _ schema: String, of stage: ResolvedStage, _ hook: HookID) throws -> String {
        let users = try store.generations(of: hook.description).filter { generation in
            generation.liveOrder > 0
                && generation.resolved.stages.contains {
                    $0.name == stage.name && $0.owner == stage.owner && $0.state[map] == schema
                }
        }
        guard let last = users.max(by: { ($0.liveUntil ?? "") < ($1.liveUntil ?? "") }) else {
            return "an older generation left it"
        }
        return "generation \(last.number) left it" + (last.liveUntil.map { " at \($0.prefix(19))Z" } ?? "")
    }

    /// What state a generation comes back to, if traffic moves to it from the live one: a line a map that the two do
    /// not share.
    func stateReturns(to target: StoredGeneration, from live: StoredGeneration, of hook: HookID) throws -> [String] {
        var lines: [String] = []
        for stage in target.resolved.stages {
            let now = live.resolved.stages.first { $0.name == stage.name && $0.owner == stage.owner }
            for (map, schema) in stage.state.sorted(by: { $0.key < $1.key }) where now?.state[map] != schema {
                let left = try whoLeft(map, schema, of: stage, hook)
                lines.append(
                    "stage \"\(stage.name)\": state map \"\(map)\" is as \(left)"
                        + (now?.state[map] == nil
                            ? ""
                            : "; what generation \(live.number) counted since stays with generation \(live.number)"))
            }
        }
        return lines
    }
}
