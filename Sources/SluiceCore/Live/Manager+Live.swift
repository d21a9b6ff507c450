// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
public import SluiceAPI
internal import StageKit

extension Manager {
    /// Has a live stage's plugin change it: a start of the plugin, and its answer's entries set in maps.
    public func change(
        _ hook: String, stage: String, _ request: StageChangeRequest, by caller: Caller
    ) async throws -> StageChangeReport {
        try await exclusively {
            let id = try resolve(hook)
            return try await audited("change", id.description, by: caller) {
                var change = Change("change", by: caller.name, message: request.message)
                let place = try liveStage(stage, of: id)
                let question = ChangeRequest(
                    context: place.context(), request: JSON(request.request), labels: place.labels,
                    maps: try place.contents())
                change.lap("read")
                let plugin = try installed(place)
                let answer = try await plugins.change(plugin, question, live: place.stored.maps)
                change.lap("plugin")
                // Meanwhile damage may have been mended.
                guard try place.directory.traffic() == place.traffic else {
                    throw APIErrorBody.conflict("the live generation has changed meanwhile; try again")
                }
                do {
                    try place.check(answer.updates)
                } catch let error as StageError {
                    throw APIErrorBody(PluginError.malformed(plugin, .change, error))
                }
                try make(answer, in: place, question.maps, &change)
                return StageChangeReport(
                    hook: id.description, stage: stage, generation: place.generation, lines: answer.summary,
                    notes: notes(on: place, answer.updates), timings: change.timings)
            }
        }
    }

    /// Has a live stage's plugin show something of it.
    public func inspect(
        _ hook: String, stage: String, _ request: StageInspectRequest
    ) async throws -> StageInspection {
        do {
            let id = try resolve(hook)
            let place = try liveStage(stage, of: id)
            let question = InspectRequest(
                configuration: try store.liveConfiguration(stage, in: place.generation, of: id.description),
                context: place.context(), request: JSON(request.request), labels: place.labels,
                maps: try place.contents(), counters: try place.counters())
            let table = try await plugins.inspect(try installed(place), question)
            return StageInspection(table, of: stage, in: place.generation, of: id)
        } catch {
            throw APIErrorBody(error, during: "inspect \(hook)")
        }
    }

    /// Finishes a change that was under way when the manager was stopped.
    func finishChange(of hook: HookID) {
        do {
            guard let change = try store.liveChange(of: hook.description) else { return }
            do {
                // After a reboot there is nothing to set: what was recorded is, when the maps are made anew.
                if try directory(hook).live() == change.generation {
                    let place = try liveStage(change.stage, of: hook)
                    try place.apply(change.updates, before: try place.contents())
                }
            } catch {
                try store.dropChange(of: hook.description)
                throw error
            }
            tell(try store.end(change, of: hook.description))
            record(
                "recover", hook.description, outcome: "done", by: "sluiced",
                "finished a change of stage \"\(change.stage)\" that had begun")
        } catch {
            record(
                "recover", hook.description, outcome: "failed", by: "sluiced",
                "a change that had begun cannot be finished: \(APIErrorBody(error, during: "change \(hook)").message)")
        }
    }

    /// Records a change, makes it, and records that it was made: whenever the manager dies, it is made or not.
    private func make(
        _ answer: StageChange, in place: LiveStage, _ before: [String: [MapEntry]], _ change: inout Change
    ) throws {
        let hook = place.directory.hook.description
        let record = LiveChange(
            generation: place.generation, stage: place.name, updates: answer.updates, state: place.manifest.state,
            author: change.author, message: change.told(Self.told(answer.summary, of: place)))
        try store.begin(record, of: hook)
        FaultPoint.stageChangeBegun.hit()
        change.lap("record")
        do {
            try place.apply(answer.updates, before: before)
        } catch {
            try store.dropChange(of: hook)
            throw APIErrorBody(error, during: "change \(hook): stage \"\(place.name)\"")
        }
        FaultPoint.stageChangeApplied.hit()
        change.lap("set")
        tell(try store.end(record, of: hook))
        FaultPoint.stageChangeRecorded.hit()
        change.lap("record")
    }

    /// What the records hold of a change, however much it was.
    private static func told(_ summary: [String], of place: LiveStage) -> [String] {
        let most = 20
        let rest = summary.count > most ? ["and \(summary.count - most) more"] : []
        return ["stage \"\(place.name)\" in generation \(place.generation): \(summary[0])"]
            + summary[1...].prefix(most - 1)
            + rest
    }

    /// The stage that somebody named, if it can be changed while it is live. Asks the kernel, and of the records only
    /// what it needs: the plan has megabytes.
    private func liveStage(_ name: String, of hook: HookID) throws -> LiveStage {
        let directory = directory(hook)
        guard let traffic = try directory.traffic() else { throw notLive(hook) }
        let stages = try Manifest(pinnedAt: directory.generation(traffic.live).meta).stages
        guard let index = stages.firstIndex(where: { $0.name == name }) else {
            throw APIErrorBody.notFound(
                "\(hook): generation \(traffic.live), which is live, has no stage \"\(name)\"; it has: "
                    + stages.map(\.name).joined(separator: ", "))
        }
        let stage = stages[index]
        guard stage.record.plugin != nil else {
            throw APIErrorBody.refused(
                "\(hook): stage \"\(name)\" is an adopted object, which no plugin changes; see `sluicectl map list \(hook) "
                    + "\(name)`")
        }
        guard let stored = try store.liveStage(name, in: traffic.live, of: hook.description) else {
            throw APIErrorBody.refused(
                "\(hook): stage \"\(name)\" (\(stage.record.title)) takes no changes while it is live; change its "
                    + "configuration, and apply it")
        }
        return LiveStage(directory: directory, traffic: traffic, slot: index + 1, manifest: stage, stored: stored)
    }

    /// The plugin that the stage was built from, not the one that is installed now.
    private func installed(_ place: LiveStage) throws -> InstalledPlugin {
        let record = place.manifest.record
        guard let name = record.plugin, let version = record.version.flatMap(PluginVersion.init) else {
            throw APIErrorBody.conflict("stage \"\(place.name)\" says of no plugin that it was built from it")
        }
        return InstalledPlugin(name: name, version: version, path: artifacts.path(record.artifact))
    }

    private func notes(on place: LiveStage, _ updates: [MapUpdate]) -> [String] {
        let maps = Set(updates.filter { !$0.entries.isEmpty }.map(\.map)).sorted()
        let own = maps.filter { place.manifest.state[$0] == nil }
        var notes: [String] = []
        if !own.isEmpty {
            notes.append(
                "\(own.joined(separator: ", ")): of generation \(place.generation) alone; the next apply or upgrade fills it "
                    + "from the configuration, and a rollback finds its own")
        }
        if let candidate = place.traffic.candidate {
            let tried = try? Manifest(pinnedAt: place.directory.generation(candidate).meta).stages
                .first { $0.name == place.name }
            let shared = maps.filter { place.manifest.state[$0] != nil && tried?.state[$0] == place.manifest.state[$0] }
            let other = maps.filter { !shared.contains($0) }
            notes.append(
                "a canary is on: generation \(candidate) "
                    + [
                        shared.isEmpty
                            ? nil : "sees what was changed of \(shared.joined(separator: ", ")), which both share",
                        other.isEmpty ? nil : "does not see what was changed of \(other.joined(separator: ", "))",
                    ].compactMap(\.self).joined(separator: ", and "))
        }
        return notes
    }
}

extension Manager {
    /// Removes state that no generation uses, and forgets what changes wrote to it.
    func collectState(_ directory: HookDirectory) throws -> [String] {
        let removed = try directory.collectState()
        guard !removed.isEmpty else { return [] }
        try store.forgetState(of: directory.hook.description) {
            removed.contains(directory.state(stage: $0, map: $1, schema: $2))
        }
        return removed
    }
}

extension StageInspection {
    init(_ table: StageTable, of stage: String, in generation: Int, of hook: HookID) {
        self.init(
            hook: hook.description, stage: stage, generation: generation, columns: table.columns,
            rows: table.rows.map { $0.map { JSONValue($0) } }, notes: table.notes)
    }
}
