// SPDX-License-Identifier: Apache-2.0

internal import BPF
public import SluiceAPI
internal import StageKit

extension Manager {
    public func plan(_ request: PlanRequest) async throws -> PlanReport {
        var chains: [ChainPlan] = []
        for spec in try SpecParser.parse(request.spec, source: request.source) {
            let prepared = try await prepare(spec)
            if prepared.live == nil {
                try directory(prepared.hook).attachment.checkPlace()
            }
            chains.append(prepared.plan)
        }
        return PlanReport(chains: chains)
    }

    public func apply(_ request: ApplyRequest, by caller: Caller) async throws -> ChangeReport {
        let specs = try SpecParser.parse(request.spec, source: request.source)
        let canary = try request.canary.map { request throws(APIErrorBody) in try CanaryPlan(request) }
        return try await exclusively {
            // All chains are checked before the first is changed.
            var change = Change("apply", by: caller.name, message: request.message)
            var prepared: [PreparedChain] = []
            for spec in specs {
                try await audited("apply", spec.hook, by: caller) {
                    let hook = try HookID(parsing: spec.hook)
                    attend(hook)
                    try refuseDuringCanary(hook)
                    let chain = try await prepare(spec)
                    if canary != nil, chain.plan.action != .none { try checkCanary(chain) }
                    prepared.append(chain)
                }
            }
            change.lap("plan")
            defer { updateRuns() }
            var changes: [ChainChange] = []
            for chain in prepared {
                do {
                    changes.append(
                        try await audited("apply", chain.hook.description, by: caller) {
                            try commitIfNeeded(chain, change, replace: request.replace, canary: canary)
                        })
                } catch var error as APIErrorBody where !changes.isEmpty {
                    let done = changes.map { change in
                        "\(change.hook): generation \(change.to ?? 0) is live"
                            + (change.canary.map { ", generation \($0) is being tried" } ?? "")
                    }
                    error.message += "; before it this was done: \(done.joined(separator: "; "))"
                    throw error
                }
            }
            return ChangeReport(chains: changes)
        }
    }

    public func upgrade(_ hook: String, _ request: UpgradeRequest, by caller: Caller) async throws -> ChangeReport {
        let canary = try request.canary.map { request throws(APIErrorBody) in try CanaryPlan(request) }
        return try await exclusively {
            let id = try resolve(hook)
            return try await audited("upgrade", id.description, by: caller) {
                var change = Change("upgrade", by: caller.name, message: request.message)
                attend(id)
                try refuseDuringCanary(id)
                guard let live = try liveGeneration(of: id) else { throw notLive(id) }
                var spec = live.resolved.spec
                guard let index = spec.stages.firstIndex(where: { $0.name == request.stage }) else {
                    throw APIErrorBody.notFound(
                        "upgrade \(id): the chain has no stage \"\(request.stage)\"; it has: "
                            + spec.stages.map(\.name).joined(separator: ", "))
                }
                guard case .plugin(var plugin) = spec.stages[index].source else {
                    throw APIErrorBody.refused(
                        "upgrade \(id): stage \"\(request.stage)\" is an adopted object, which has no versions; put the "
                            + "new object where the spec names it, or change the spec, and apply it")
                }
                plugin.version = request.version
                spec.stages[index].source = .plugin(plugin)
                let prepared = try await prepare(spec, keepingObjects: true)
                change.lap("plan")
                let result = try commitIfNeeded(prepared, change, replace: false, canary: canary)
                updateRuns()
                return ChangeReport(chains: [result])
            }
        }
    }

    public func rollback(_ hook: String, _ request: RollbackRequest, by caller: Caller) async throws -> ChangeReport {
        try await exclusively {
            let id = try resolve(hook)
            return try await audited("rollback", id.description, by: caller) {
                let report = try rollback(id, request, Change("rollback", by: caller.name, message: request.message))
                updateRuns(after: "rollback")
                return report
            }
        }
    }

    /// One slot write: no compiler, no verifier, no plugin, no capability.
    private func rollback(_ hook: HookID, _ request: RollbackRequest, _ change: Change) throws -> ChangeReport {
        var change = change
        let directory = directory(hook)
        guard let traffic = try directory.traffic() else { throw notLive(hook) }
        let live = traffic.live
        let pinned = try directory.generations().filter { $0 != traffic.candidate }
        let kept = pinned.filter { $0 != live }.map(String.init).joined(separator: ", ")
        let back = "kept are: \(kept.isEmpty ? "none" : kept)"
        func checkPinned(_ target: Int) throws {
            guard pinned.contains(target) else {
                throw APIErrorBody.notFound("rollback \(hook): generation \(target) is not in the kernel; \(back)")
            }
        }
        if let candidate = traffic.candidate {
            guard request.to != candidate else {
                throw APIErrorBody.conflict(
                    "rollback \(hook): generation \(candidate) is being tried on a share of the flows; `sluicectl canary "
                        + "promote \(hook)` gives it all of them")
            }
            try request.to.map(checkPinned)
            // To go back from a canary is to end it.
            let lines = try abortCanary(of: hook, because: "rolled back", &change)
            if request.to ?? live == live {
                return ChangeReport(chains: [
                    ChainChange(
                        hook: hook.description, from: live, to: live, lines: lines, timings: change.timings)
                ])
            }
        }
        guard let target = try request.to ?? previousGeneration(of: hook, live: live) else {
            throw APIErrorBody.notFound("rollback \(hook): there is no generation to go back to; \(back)")
        }
        try checkPinned(target)
        guard target != live else {
            throw APIErrorBody.conflict("rollback \(hook): generation \(target) is live already; \(back)")
        }
        // The records are for people: whatever is wrong with them, the traffic moves.
        let was = try? store.generation(live, of: hook.description)
        let then = try? store.generation(target, of: hook.description)
        _ = mergeStateOrTell(into: live, of: hook, by: change.author)
        change.lap("check")
        try directory.flip(to: target)
        FaultPoint.rollbackFlipped.hit()
        change.lap("flip")
        // The traffic has moved: a full disk must not make this look as if it had not.
        recordLive(target, of: hook)
        FaultPoint.rollbackRecorded.hit()
        var state = mergeStateOrTell(into: target, of: hook, by: change.author)
        if let was, let then { state += (try? stateReturns(to: then, from: was, of: hook)) ?? [] }
        record(
            "rollback", hook.description, outcome: "done", by: change.author,
            change.told(["generation \(live) -> \(target)"] + state))
        change.lap("record")
        return ChangeReport(chains: [
            ChainChange(
                hook: hook.description, from: live, to: target, lines: ["generation \(target) is live again"] + state,
                timings: change.timings)
        ])
    }

    public func detach(_ hook: String, _ request: DetachRequest, by caller: Caller) async throws -> ChangeReport {
        try await exclusively {
            let id = try resolve(hook)
            return try await audited("detach", id.description, by: caller) {
                let directory = directory(id)
                guard directory.exists else { throw notLive(id) }
                let live = try directory.live()
                var change = Change("detach", by: caller.name, message: request.message)
                let onFault = try store.openGenerations(of: id.description).first { $0.state == .live }?
                    .resolved.spec.onFault
                let kept = try directory.attachment.checkTakeOff(onFault: onFault ?? .pass)
                let notes = try takeDown(id, restoring: request.restore) + kept
                record(
                    "detach", id.description, outcome: "done", by: caller.name,
                    change.told(["the chain is gone, its history is kept"] + notes))
                change.lap("detach")
                updateRuns()
                return ChangeReport(chains: [
                    ChainChange(
                        hook: id.description, from: live, to: nil,
                        lines: ["detached; all of its pins and its state are gone"] + notes, timings: change.timings)
                ])
            }
        }
    }

    /// Ends a chain as asked for. What `--replace` displaced is attached again, or forgotten for good.
    private func takeDown(_ hook: HookID, restoring: Bool) throws -> [String] {
        let attachment = directory(hook).attachment
        var notes: [String] = []
        if restoring { try attachment.markForRestoring() } else { notes = try attachment.forgetDisplaced() }
        try store.setWanted(hook.description, false)
        FaultPoint.detachRecorded.hit()
        do {
            notes += try removeHook(hook)
        } catch {
            // What was displaced cannot go back: the chain stays.
            if restoring, let live = try? liveGeneration(of: hook) {
                _ = try? attachment.attach(mode: live.resolved.spec.mode, replace: false)
                attachment.unmarkForRestoring()
                try? store.setWanted(hook.description, true)
            }
            throw error
        }
        standing[hook] = nil
        return notes
    }

    /// Takes a hook's root off and removes all of its pins; its generations' records become history.
    /// - Returns: What was attached again in its place.
    @discardableResult
    func removeHook(_ hook: HookID) throws -> [String] {
        let directory = directory(hook)
        let attachment = directory.attachment
        let hasLink = try attachment.isAttached()
        var restored: [String] = []
        // Where both have room, nothing gets past both.
        if !type(of: attachment).isExclusive { restored = try attachment.restore() }
        try attachment.takeOff()
        if type(of: attachment).isExclusive { restored = try attachment.restore() }
        if hasLink { waitForPacketsInFlight() }
        try Bpffs.removeTree(directory.path) { FaultPoint.hookPartlyRemoved.hit() }
        _ = try endRecords(of: hook)
        _ = try collectArtifacts()
        FaultPoint.artifactsCollected.hit()
        return restored
    }

    /// Makes history of a hook's generations that are not in the kernel any more; what never went live is forgotten.
    /// - Returns: Those it ended, as they were.
    func endRecords(of hook: HookID) throws -> [StoredGeneration] {
        let open = try store.openGenerations(of: hook.description)
        canaries[hook] = nil
        try store.endCanary(of: hook.description)
        try store.forgetChanges(of: hook.description)
        for generation in open {
            if generation.state == .building {
                try store.forget(generation.number, of: hook.description)
            } else {
                try store.setState(.retired, of: generation.number, hook.description)
            }
        }
        return open
    }

    private func commitIfNeeded(
        _ chain: PreparedChain, _ change: Change, replace: Bool, canary: CanaryPlan?
    ) throws -> ChainChange {
        let directory = directory(chain.hook)
        guard chain.plan.action == .none else {
            return try commit(chain, change, replace: replace, canary: canary)
        }
        var lines = ["nothing to change"]
        let attachment = directory.attachment
        let survey = try attachment.survey()
        if survey.isWaiting {
            lines.append("the root is attached when there is \(chain.hook.aTarget)")
        } else if !survey.isInPlace {
            let (mode, notes) = try attachment.attach(mode: chain.resolved.spec.mode, replace: replace)
            lines = ["attached the root to \(chain.hook) again\(mode.inBrackets)"] + notes
            record(
                change.action, chain.hook.description, outcome: "done", by: change.author,
                lines.joined(separator: "; "))
            standing[chain.hook] = nil
        }
        return ChainChange(
            hook: chain.hook.description, from: chain.live?.number, to: chain.live?.number, lines: lines,
            timings: change.timings)
    }

    /// Runs a step of a change; its failure goes into the audit trail, then on to the caller.
    func audited<T>(
        _ action: String, _ hook: String, by caller: Caller, _ body: () async throws -> T
    ) async throws -> T {
        do {
            return try await body()
        } catch {
            let failure = APIErrorBody(error, during: "\(action) \(hook)")
            record(action, hook, outcome: "failed", by: caller.name, failure.message)
            throw failure
        }
    }

    /// The hook that somebody typed. `xdp:eth0` stands for the one chain on an `eth0`, in whatever namespace.
    func resolve(_ text: String) throws -> HookID {
        let id = try HookID(parsing: text)
        let known = try knownHooks()
        if known.contains(id) { return id }
        let alike = known.filter { $0.kind == id.kind && $0.place == id.place && id.netns == nil }
        if alike.count == 1 { return alike[0] }
        guard alike.isEmpty else {
            throw APIErrorBody.conflict(
                "\(id) may be any of: \(alike.map(\.description).joined(separator: ", ")); name the network namespace too"
            )
        }
        let list = known.isEmpty ? "none yet" : known.map(\.description).joined(separator: ", ")
        throw APIErrorBody.notFound("there is no chain on \(id); chains: \(list)")
    }

    func notLive(_ hook: HookID) -> APIErrorBody {
        .notFound("\(hook): the chain is not in the kernel; apply it first")
    }
}
