// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Logging
public import SluiceAPI
internal import StageKit

extension Manager {
    public func abortCanary(
        _ hook: String, _ request: CanaryEndRequest, by caller: Caller
    ) async throws -> ChangeReport {
        try await endCanary("abort", hook, request, by: caller) { id, change in
            try abortCanary(of: id, because: "asked for", &change)
        }
    }

    public func promoteCanary(
        _ hook: String, _ request: CanaryEndRequest, by caller: Caller
    ) async throws -> ChangeReport {
        try await endCanary("promote", hook, request, by: caller) { id, change in
            try promoteCanary(of: id, because: "asked for", &change)
        }
    }

    private func endCanary(
        _ action: String, _ hook: String, _ request: CanaryEndRequest, by caller: Caller,
        _ body: (HookID, inout Change) throws -> [String]
    ) async throws -> ChangeReport {
        try await exclusively {
            let id = try resolve(hook)
            return try await audited(action, id.description, by: caller) {
                var change = Change(action, by: caller.name, message: request.message)
                let before = try split(of: id)
                let lines = try body(id, &change)
                return ChangeReport(chains: [
                    ChainChange(
                        hook: id.description, from: before.live, to: try directory(id).live(), lines: lines,
                        timings: change.timings)
                ])
            }
        }
    }

    /// What the traffic of a hook is divided between.
    private func split(of hook: HookID) throws -> HookDirectory.Traffic {
        guard let traffic = try directory(hook).traffic() else { throw notLive(hook) }
        guard traffic.candidate != nil else {
            throw APIErrorBody.conflict(
                "\(hook): no canary is under way; generation \(traffic.live) has all of the traffic")
        }
        return traffic
    }

    /// What is tried must be decided upon before anything else changes.
    func refuseDuringCanary(_ hook: HookID) throws {
        guard let candidate = try directory(hook).traffic()?.candidate else { return }
        throw APIErrorBody.conflict(
            "\(hook): generation \(candidate) is being tried on a share of the flows; first `sluicectl canary promote "
                + "\(hook)` or `sluicectl canary abort \(hook)`")
    }
}

// MARK: - Its beginning and its two ends

extension Manager {
    /// Says why a change cannot be tried on a share of the flows, if it cannot.
    func checkCanary(_ prepared: PreparedChain) throws {
        let hook = prepared.hook
        guard hook.kind.hasFlows else {
            throw APIErrorBody.refused(
                "\(hook): what comes there belongs to no flow, so there is no share of the flows to try a canary on; apply "
                    + "without --canary, and roll back if need be")
        }
        guard prepared.live != nil else {
            throw APIErrorBody.refused(
                "\(hook): a canary is held against the live generation, and there is none; apply without --canary first"
            )
        }
        guard try directory(hook).attachment.survey().isInPlace else {
            throw APIErrorBody.refused(
                "\(hook): the root is not attached, so there is no traffic to try a canary on; see `sluicectl status \(hook)`"
            )
        }
    }

    /// Sends the first share of the flows to a whole generation that has no traffic yet.
    func startCanary(_ plan: CanaryPlan, of number: Int, beside stable: Int, _ chain: ResolvedChain, _ change: Change)
        throws -> [String]
    {
        let hook = try HookID(parsing: chain.spec.hook)
        let directory = directory(hook)
        let manifest = CanaryManifest(
            stable: stable, candidate: number, shares: plan.shares, fallenBefore: try directory.fallenThrough(stable))
        try Splitter(directory: directory, manifest: manifest, chain: chain).build()
        FaultPoint.splitterBuilt.hit()
        let canary = StoredCanary(
            candidate: number, plan: plan, step: 0, elapsed: 0, baseline: try directory.canaryCounts(),
            author: change.author, message: change.message)
        try store.setCanary(canary, of: hook.description)
        FaultPoint.canaryRecorded.hit()
        // What its plugins set while they run, the candidate should have when it is judged.
        updateRuns()
        try directory.split()
        FaultPoint.canarySplit.hit()
        watch(canary, of: hook)
        let steps = plan.shares.map(Percent.text).joined(separator: ", then ")
        return [
            "generation \(number) has \(steps) of the flows, for \(Seconds.text(plan.seconds))\(plan.shares.count > 1 ? " each" : "")",
            "it is promoted after that, or aborted if \(plan.abortIf.joined(separator: ", "))",
        ]
    }

    /// Gives all of the traffic back to the stable generation; the candidate goes.
    func abortCanary(of hook: HookID, because reason: String, _ change: inout Change) throws -> [String] {
        let directory = directory(hook)
        guard let traffic = try directory.traffic(), let candidate = traffic.candidate else { return [] }
        // Told before the pins go: afterwards nobody knows.
        let counts = (try? directory.canaryCounts()).map { ": \($0.summary)" } ?? ""
        change.lap("check")
        try directory.flip(to: traffic.live)
        FaultPoint.canaryFlipped.hit()
        change.lap("flip")
        canaries[hook] = nil
        let line =
            "canary of generation \(candidate) aborted, \(reason); generation \(traffic.live) has all of the traffic"
        record("abort", hook.description, outcome: "done", by: change.author, change.told([line + counts]))
        clearCanaryOrTell(of: hook)
        change.lap("remove")
        updateRuns()
        return [line]
    }

    /// Gives the candidate all of the traffic.
    func promoteCanary(of hook: HookID, because reason: String, _ change: inout Change) throws -> [String] {
        let directory = directory(hook)
        guard let traffic = try directory.traffic(), let candidate = traffic.candidate else { return [] }
        let counts = (try? directory.canaryCounts()).map { ": \($0.summary)" } ?? ""
        change.lap("check")
        try directory.flip(to: candidate)
        FaultPoint.canaryFlipped.hit()
        change.lap("flip")
        canaries[hook] = nil
        // The traffic has moved: from here on nothing may fail the change, only be told.
        return finishPromotion(of: candidate, on: hook, because: reason, counts: counts, &change)
    }

    /// What follows the flip to the candidate; also after a crash in between.
    private func finishPromotion(
        of candidate: Int, on hook: HookID, because reason: String, counts: String, _ change: inout Change
    ) -> [String] {
        let merged = mergeStateOrTell(into: candidate, of: hook, by: change.author)
        if !merged.isEmpty { change.lap("merge") }
        recordLive(candidate, of: hook)
        FaultPoint.candidateRecorded.hit()
        let line = "generation \(candidate) is live, \(reason)"
        record(
            "promote", hook.description, outcome: "done", by: change.author, change.told([line + counts] + merged))
        change.lap("record")
        clearCanaryOrTell(of: hook)
        let retired = retire(hook)
        change.lap("retire")
        updateRuns()
        return [line] + merged + retired
    }

    /// The same after a flip, when nothing may fail any more.
    private func clearCanaryOrTell(of hook: HookID) {
        do {
            try clearCanary(of: hook)
        } catch {
            logger.error("cannot remove what is left of a canary; the check-up will", metadata: ["error": "\(error)"])
        }
    }

    /// Removes all of a canary that has no traffic any more: the splitter, the record, and the candidate if that is not
    /// live now.
    func clearCanary(of hook: HookID) throws {
        let directory = directory(hook)
        let live = try directory.live()
        let tried = try store.openGenerations(of: hook.description).filter { $0.state == .canary }.map(\.number)
        // The records may be lost, or not those of this chain.
        let named = (try? directory.canary.manifest()).map { [$0.candidate] } ?? []
        // The splitter's array empties itself with its pin.
        if directory.canary.exists { waitForPacketsInFlight() }
        try Bpffs.removeTree(directory.canary.path)
        FaultPoint.splitterRemoved.hit()
        for number in Set(tried + named) where number != live && Bpffs.exists(directory.generation(number).path) {
            try directory.remove(number)
        }
        try store.endCanary(of: hook.description)
        FaultPoint.canaryEnded.hit()
        if directory.exists { _ = try collectState(directory) }
        _ = try collectArtifacts()
    }

    /// Makes records and kernel agree about a canary. One that is under way is watched from now on.
    func settleCanary(_ hook: HookID) throws {
        let directory = directory(hook)
        let record = try store.canary(of: hook.description)
        let traffic = directory.exists ? try directory.traffic() : nil
        var change = Change("canary", by: "sluiced", message: "")
        if let candidate = traffic?.candidate {
            if let record, record.candidate == candidate {
                guard canaries[hook] == nil else { return }
                let step = try? directory.canary.currentStep()
                // A step is recorded before it is entered. What is not whole any more, the first look finds out.
                if step != record.step { try? directory.canary.enter(step: record.step) }
                watch(record, of: hook)
                logger.notice("the canary of generation \(candidate) on \(hook) goes on")
            } else {
                _ = try abortCanary(of: hook, because: "the database has no record of it", &change)
            }
            return
        }
        guard record != nil || directory.canary.exists else { return }
        canaries[hook] = nil
        if traffic == nil,
            let live = try store.openGenerations(of: hook.description).first(where: { $0.state == .live })
        {
            // The slot may hold a splitter that lacks something: first the traffic, then the pins. What cannot be
            // flipped to is mended after this.
            try? directory.flip(to: live.number)
        }
        if let record, let live = traffic?.live, live == record.candidate {
            change = Change("promote", by: "sluiced", message: record.message)
            _ = finishPromotion(
                of: live, on: hook, because: "the flip had been done before the manager was stopped", counts: "",
                &change)
            return
        }
        try clearCanary(of: hook)
        updateRuns()
        if let record {
            self.record(
                "abort", hook.description, outcome: "done", by: "sluiced",
                "the canary of generation \(record.candidate) was not in the kernel any more, and is over"
                    + (traffic.map { "; generation \($0.live) has all of the traffic" } ?? ""))
        }
    }
}
