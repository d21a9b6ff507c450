// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
public import SluiceAPI
internal import StageKit

extension Manager {
    public func version() -> VersionInfo {
        VersionInfo(
            version: SluiceVersion.current, api: SluiceVersion.api, pluginProtocol: StageProtocol.version,
            kernel: Kernel.release())
    }

    public func chains() throws -> [ChainStatus] {
        try failing("status") { try knownHooks().map { try status($0) } }
    }

    public func chain(_ hook: String) throws -> ChainStatus {
        try failing("status \(hook)") { try status(resolve(hook)) }
    }

    private func status(_ hook: HookID) throws -> ChainStatus {
        let directory = directory(hook)
        let generations = try store.openGenerations(of: hook.description)
        let wanted = try store.isWanted(hook.description) == true
        guard let live = try directory.live() else {
            let last = try generations.first { $0.state == .live } ?? store.newestGeneration(of: hook.description)
            return ChainStatus(
                hook: hook.description, state: wanted ? .missing : .detached, live: nil, mode: nil,
                onFault: last?.resolved.spec.onFault.rawValue ?? "pass",
                stages: last?.resolved.stages.map {
                    StageStatus($0.record, counters: nil)
                } ?? [],
                rootFallbacks: 0, since: nil,
                notes: wanted
                    ? ["the chain is wanted but not in the kernel: nothing is filtered; see `sluicectl doctor`"] : [])
        }
        let attachment = directory.attachment
        let survey = try attachment.survey()
        let manifest = try Manifest(pinnedAt: directory.generation(live).meta)
        let stored = generations.first { $0.number == live }
        let mode = survey.mode
        var notes = place(of: hook, survey)
        notes += try attachment.displacedNotes()
        if mode == XDPMode.generic.rawValue {
            notes.append("generic mode: every packet costs more than in native mode")
        }
        if !manifest.counters { notes.append("counters are off") }
        if let stored { notes += unmetNeeds(of: hook, stored.resolved) }
        notes += (missed[hook] ?? []).map { "not brought into the group: \($0)" }
        if stored == nil { notes.append("the database has no record of generation \(live)") }
        let stages = try directory.generation(live).stages(manifest)
        return ChainStatus(
            hook: hook.description, state: survey.isInPlace ? .live : survey.isWaiting ? .waiting : .missing,
            live: live, mode: mode,
            onFault: stored?.resolved.spec.onFault.rawValue ?? "pass", stages: stages,
            rootFallbacks: (try? BPFMap.pinned(at: directory.fallback).counters(at: 0)?[0]) ?? 0,
            since: stored?.liveSince,
            notes: notes, canary: try canaryStatus(of: hook), gap: try store.gap(of: hook.description, boot: Boot.id()),
            sockets: hook.kind == .socketFilter ? try GroupMembers(directory: directory).list().count : nil)
    }

    /// Why a root is not at its place, and since when.
    private func place(of hook: HookID, _ survey: RootSurvey) -> [String] {
        switch survey.place {
        case .attached, .unseen: return []
        case .unpinned: return [Damage.link.message]
        case .renamed, .strayed, .detached: break
        }
        if let standing = standing[hook] {
            return [standing.action == "wait" ? "waits since \(standing.since): \(standing.message)" : standing.message]
        }
        return [survey.isWaiting ? "there is no \(hook.target)" : Damage.place(survey, hook.kind.place).message]
    }

    public func history(_ hook: String) throws -> [GenerationRecord] {
        try failing("history \(hook)") {
            let id = try resolve(hook)
            let generations = try store.generations(of: id.description)
            let live = generations.first { $0.state == .live }
            return try generations.map { generation in
                var record = generation.record
                if let live, generation.state == .kept {
                    record.returnsTo = try stateReturns(to: generation, from: live, of: id)
                }
                return record
            }
        }
    }

    public func stats(_ hook: String) throws -> ChainStats {
        try failing("stats \(hook)") {
            let id = try resolve(hook)
            let directory = directory(id)
            guard let live = try directory.live(), let stored = try store.generation(live, of: id.description) else {
                throw APIErrorBody.notFound("the chain is not live; apply it first")
            }
            let stages = try stored.resolved.stages.enumerated().map { index, stage in
                let generation = directory.generation(live)
                return StageStats(
                    name: stage.name,
                    counters: stored.resolved.spec.counters ? try generation.counters(index + 1) : nil,
                    tables: try stage.plan.counters.map { table in
                        try generation.table(table, of: index + 1) { map in
                            stage.state[map].map { directory.state(stage: stage.name, map: map, schema: $0) }
                        }
                    })
            }
            return ChainStats(hook: id.description, generation: live, stages: stages)
        }
    }

    public func plugins() async throws -> [PluginInfo] {
        var users: [String: [String]] = [:]
        for hook in try knownHooks() {
            for stage in try liveGeneration(of: hook)?.resolved.stages ?? [] {
                users[stage.title, default: []].append("\(hook) \(stage.name)")
            }
        }
        return await plugins.list().map { info in
            var info = info
            info.usedBy = users["\(info.name) \(info.version)"] ?? []
            return info
        }
    }
}
