// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Logging
internal import SluiceAPI

/// A canary that this manager watches.
struct WatchedCanary {
    var record: StoredCanary
    /// When it was looked at last; the time since then has yet to be counted.
    var looked: ContinuousClock.Instant
    /// How much of the step's time the database knows of.
    var saved: Double
}

/// Looking is a few reads of per-CPU maps. What fails is cut off within one look.
private let interval = Duration.milliseconds(100)

extension Manager {
    /// Watches a canary until its end.
    func watch(_ canary: StoredCanary, of hook: HookID) {
        canaries[hook] = WatchedCanary(record: canary, looked: .now, saved: canary.elapsed)
        guard canaryClock == nil else { return }
        canaryClock = Task { [weak self] in
            while !Task.isCancelled {
                try? await Task.sleep(for: interval)
                guard await self?.lookAtCanaries() == true else { return }
            }
        }
    }

    /// Ends the watch; the canaries go on as they are, and the next start goes on watching.
    func stopWatchingCanaries() {
        canaryClock?.cancel()
        for hook in canaries.keys { save(hook) }
        canaries = [:]
    }

    /// False when there is none left to look at.
    private func lookAtCanaries() -> Bool {
        for hook in canaries.keys.sorted(by: { $0.description < $1.description }) {
            do {
                try look(at: hook)
            } catch {
                giveUp(hook, APIErrorBody(error, during: "look at the canary").message)
            }
        }
        if canaries.isEmpty { canaryClock = nil }
        return !canaries.isEmpty
    }

    /// Counts the time, judges the candidate, and does what follows. All in one piece, without waiting for anybody:
    /// nothing else changes the hook meanwhile.
    private func look(at hook: HookID) throws {
        guard var canary = canaries[hook] else { return }
        let directory = directory(hook)
        guard try directory.traffic()?.candidate == canary.record.candidate, directory.canary.isWhole() else {
            throw APIErrorBody.conflict("its splitter or what that needs has gone")
        }
        let now = ContinuousClock.now
        // A chain that waits for its interface tells nothing of the candidate.
        if standing[hook]?.action != "wait" { canary.record.elapsed += (now - canary.looked) / .seconds(1) }
        canary.looked = now
        canaries[hook] = canary
        let plan = canary.record.plan
        let counts = try directory.canaryCounts()
        let seen = counts - canary.record.baseline
        let isOver = canary.record.elapsed >= plan.seconds
        var change = Change("canary", by: "sluiced", message: canary.record.message)
        if isOver || seen.tried.packets >= plan.minPackets,
            let objection = CanaryJudge(bounds: plan.bounds).verdict(on: seen)
        {
            _ = try abortCanary(of: hook, because: objection, &change)
        } else if !isOver {
            // So much of a step may be watched twice after a crash.
            if canary.record.elapsed - canary.saved >= max(0.5, min(10, plan.seconds / 100)) { save(hook) }
        } else if seen.tried.packets == 0 {
            _ = try abortCanary(of: hook, because: "no packet came its way, so nothing is known of it", &change)
        } else if plan.shares.indices.contains(canary.record.step + 1) {
            try enterNextStep(of: hook, counts, seen)
        } else {
            _ = try promoteCanary(of: hook, because: "its canary went well", &change)
        }
    }

    private func enterNextStep(of hook: HookID, _ counts: CanaryCounts, _ seen: CanaryCounts) throws {
        guard var canary = canaries[hook] else { return }
        canary.record.step += 1
        canary.record.elapsed = 0
        canary.record.baseline = counts
        canary.saved = 0
        canaries[hook] = canary
        try store.setCanary(canary.record, of: hook.description)
        FaultPoint.canaryStepped.hit()
        try directory(hook).canary.enter(step: canary.record.step)
        let share = Percent.text(canary.record.plan.shares[canary.record.step])
        record(
            "canary", hook.description, outcome: "done", by: "sluiced",
            "generation \(canary.record.candidate) has \(share) of the flows now: \(seen.summary)")
    }

    /// A canary that cannot be watched is none.
    private func giveUp(_ hook: HookID, _ reason: String) {
        var change = Change("canary", by: "sluiced", message: "")
        do {
            // Without a splitter there is nothing to flip back from; what there is instead is found and mended.
            if try abortCanary(of: hook, because: reason, &change).isEmpty { attend(hook) }
        } catch {
            record(
                "abort", hook.description, outcome: "failed", by: "sluiced",
                "\(reason); \(APIErrorBody(error, during: "abort").message); the check-up tries again")
        }
        canaries[hook] = nil
    }

    private func save(_ hook: HookID) {
        guard let canary = canaries[hook] else { return }
        do {
            try store.setCanary(canary.record, of: hook.description)
            canaries[hook]?.saved = canary.record.elapsed
        } catch {
            logger.error("cannot record how far the canary on \(hook) is", metadata: ["error": "\(error)"])
        }
    }

    /// How a canary is doing; nil when none is under way.
    func canaryStatus(of hook: HookID) throws -> CanaryStatus? {
        let directory = directory(hook)
        guard let candidate = try directory.traffic()?.candidate,
            let record = try canaries[hook]?.record ?? store.canary(of: hook.description)
        else { return nil }
        let counts = try directory.canaryCounts()
        let manifest = try Manifest(pinnedAt: directory.generation(candidate).meta)
        let plan = record.plan
        let step = min(max(0, record.step), plan.shares.count - 1)
        return CanaryStatus(
            candidate: candidate, share: plan.shares[step], shares: plan.shares, step: step + 1,
            seconds: plan.seconds, elapsed: record.elapsed,
            remaining: max(0, Double(plan.shares.count - step) * plan.seconds - record.elapsed), abortIf: plan.abortIf,
            minPackets: plan.minPackets, stable: counts.stable, tried: counts.tried,
            stages: try directory.generation(candidate).stages(manifest))
    }
}

extension CanaryCounts {
    /// `1200 packets tried, drop 0.5% against 0.4%`, for the records: what dropped in any case, the rest if there is any.
    var summary: String {
        let told = CanaryBound.quantities.filter { quantity in
            quantity == "drop"
                || (["aborted", "fallthrough"].contains(quantity)
                    && (tried.verdicts[quantity]?.packets ?? 0) + (stable.verdicts[quantity]?.packets ?? 0) > 0)
        }.map { quantity in
            let shares = [tried, stable].map { $0.share(of: quantity).map(Percent.rounded) ?? "-" }
            return "\(quantity) \(shares[0]) against \(shares[1])"
        }
        return "\(tried.packets) packets tried, \(stable.packets) not, \(told.joined(separator: ", "))"
    }
}
