// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Logging
internal import SluiceAPI
internal import StageKit

/// Why a wanted chain is not where it belongs, and since when.
struct Standing: Equatable {
    /// The event's action: `wait`, `rename`, or what could not be done.
    var action: String
    var message: String
    /// ISO 8601, UTC.
    var since: String
}

extension Manager {
    /// Holds every wanted chain against the kernel, mends what is damaged, and attaches what waits and can be attached.
    /// At start, once a minute, and whenever an interface, a network namespace or a cgroup comes, goes or changes.
    ///
    /// It runs beside a change that waits for a plugin: all that touches the kernel is one piece of synchronous work.
    /// - Parameter heard: when what it is for has happened; nil when nobody knows.
    func checkUp(heard: ContinuousClock.Instant? = nil) {
        self.heard = heard
        defer { self.heard = nil }
        do {
            let wanted = try knownHooks().filter { try store.isWanted($0.description) == true }
            // One chain's root may be in another's way: where it strayed to, or by a name that was passed on.
            let strays = wanted.filter { (try? directory($0).attachment.survey().place) == .strayed }
            var moved = false
            for hook in strays + wanted where !attend(hook).isEmpty { moved = true }
            if moved { for hook in wanted { attend(hook) } }
            if moved { updateRuns() }
            for hook in wanted { try refreshCgroups(of: hook) }
        } catch {
            logger.error("cannot look after the chains", metadata: ["error": "\(error)"])
        }
        watchPlaces()
    }

    /// Mends what is damaged of a wanted chain, one thing after the other, and attaches its root if that is not where it
    /// belongs. What cannot be mended is told once.
    /// - Returns: What was done.
    @discardableResult
    func attend(_ hook: HookID) -> [String] {
        var tried: Set<Damage> = []
        var done: [String] = []
        var failures: [String] = []
        var action = "attach"
        var course = Change("recover", by: "sluiced", message: "")
        do {
            guard try store.isWanted(hook.description) == true else { return [] }
            try settleCanary(hook)
            // Each repair may lay bare the next: looked at anew after each.
            while let damage = try inspect(hook).first(where: { !tried.contains($0) }) {
                tried.insert(damage)
                course.lap("look")
                do {
                    done += try mend(damage, of: hook, &course)
                    if case .place = damage {} else { action = "recover" }
                } catch {
                    failures.append("\(damage.message): \(APIErrorBody(error, during: "\(hook)").message)")
                }
            }
            let survey = try directory(hook).attachment.survey()
            course.lap("look")
            try note(hook, survey, done: done, action: action, failures: failures)
            course.lap("record")
            if !done.isEmpty { logger.info("\(hook) mended: \(course.course)") }
        } catch {
            stand(hook, "recover", "failed", "\(APIErrorBody(error, during: "recover \(hook)").message)")
        }
        return done
    }

    private func mend(_ damage: Damage, of hook: HookID, _ course: inout Change) throws -> [String] {
        let directory = directory(hook)
        let attachment = directory.attachment
        guard let wanted = try store.openGenerations(of: hook.description).first(where: { $0.state == .live }) else {
            return []
        }
        switch damage {
        case .canary:
            var change = Change("recover", by: "sluiced", message: "")
            return try abortCanary(of: hook, because: damage.message, &change)
        case .root:
            let isNew = !directory.exists
            try attachment.mendRoot(for: wanted.resolved)
            course.lap("root")
            return isNew ? [] : ["\(damage.message); it was made anew"]
        case .state(let number, let stage, let map, let path):
            try directory.repinState(map, of: directory.generation(number).stage(stage), at: path)
            return ["\(damage.message); it is pinned again"]
        case .generation(let number, _, let isLive):
            let stored = try store.generation(number, of: hook.description)
            guard let stored else { throw APIErrorBody.conflict("the database has no record of generation \(number)") }
            try rebuild(stored, isLive: isLive, in: directory, &course)
            return isLive
                ? ["brought generation \(number) back, built anew: \(damage.message)"]
                : ["\(damage.message); it was built anew"]
        case .slot(let number):
            try directory.flip(to: number)
            return ["\(damage.message); flipped to it"]
        case .kept(let numbers):
            for number in numbers { try store.setState(.retired, of: number, hook.description) }
            // As after a reboot: with the live generation back, state that is not there is nobody's any more.
            if try directory.live() == wanted.number {
                try store.forgetState(of: hook.description) {
                    !Bpffs.exists(directory.state(stage: $0, map: $1, schema: $2))
                }
            }
            return ["\(damage.message); rollback cannot reach it"]
        case .link:
            try attachment.repinLink()
            return ["the pin of the link had gone; it is pinned again"]
        case .place(let survey, _):
            return try settle(survey, attachment, mode: wanted.resolved.spec.mode, &course)
        }
    }

    /// Builds a generation beside what is left of it, and takes its place.
    private func rebuild(
        _ stored: StoredGeneration, isLive: Bool, in directory: HookDirectory, _ course: inout Change
    ) throws {
        let leftover = directory.building(stored.number).path
        try Bpffs.removeTree(leftover)
        do {
            let manifest = try? Manifest(pinnedAt: directory.generation(stored.number).meta)
            // Old state that was merged has been; what is taken over entry by entry still is.
            let transfer = (manifest?.stages ?? []).reduce(into: StateTransfer()) { transfer, stage in
                transfer[stage.name] = stage.before.filter { !$0.value.merges }
            }
            // From the artifacts that passed the preflight when it was new.
            _ = try raise(
                stored.resolved, as: stored.number, in: directory, taking: transfer, isNew: false, flips: isLive
            ) { course.lap($0) }
        } catch {
            try? Bpffs.removeTree(leftover)
            throw error
        }
        // What was damaged has changed places with what was built.
        if Bpffs.exists(leftover) {
            waitForPacketsInFlight()
            try Bpffs.removeTree(leftover)
        }
    }

    /// Brings the root to where it belongs.
    private func settle(
        _ survey: RootSurvey, _ attachment: any Hook, mode: AttachMode, _ course: inout Change
    ) throws -> [String] {
        var lines: [String] = []
        if survey.place == .strayed {
            try attachment.takeOff()
            lines.append(
                attachment.hook.kind.place == .interface
                    ? "the interface is in another network namespace now; the root was taken off it"
                    : "the unit has another cgroup now; the root was taken off the one before")
            guard case .present = survey.target else { return lines }
        }
        // Two interfaces that have swapped their names: the other chain's root does not belong here either.
        if case .taken(let others) = survey.target, let owner = others.compactMap({ attachment.owner(of: $0) }).first {
            let other = directory(owner).attachment
            if case .renamed(attachment.hook.place, _) = try other.survey().place {
                try other.takeOff()
                lines.append("the root of \(owner) was taken off the interface, which has another name now")
            }
        }
        let (used, notes) = try attachment.attach(mode: mode, replace: false)
        course.lap("attach")
        let gap = gap(of: attachment.hook)
        course.lap("record")
        return lines + ["attached the root to \(attachment.hook)\(used.inBrackets)"] + notes + gap
    }

    /// How long nothing was filtered, where that is known.
    private func gap(of hook: HookID) -> [String] {
        if isNewBoot { return endGap(of: hook, since: .boot, length: Boot.age()) }
        guard standing[hook]?.action == "wait", let heard else { return [] }
        return endGap(of: hook, since: hook.kind.place == .cgroup ? .cgroup : .interface, length: .now - heard)
    }
}

// MARK: - What is told of it

extension Manager {
    /// Records what was done, and what stands in the way of the rest.
    private func note(
        _ hook: HookID, _ survey: RootSurvey, done: [String], action: String, failures: [String]
    ) throws {
        let before = standing[hook]
        if !done.isEmpty {
            let waited =
                survey.isInPlace && before?.action == "wait" ? before.map { ["it had waited since \($0.since)"] } : nil
            record(
                done.contains { $0.hasPrefix("attached") } || action == "recover" ? action : "wait", hook.description,
                outcome: "done", by: "sluiced", (done + (waited ?? [])).joined(separator: "; "))
        }
        if !failures.isEmpty {
            stand(hook, action, "failed", failures.joined(separator: "; "))
        } else if survey.isWaiting {
            stand(hook, "wait", "done", waiting(for: hook, survey))
        } else if case .renamed(let name, _) = survey.place {
            stand(
                hook, "rename", "done",
                "the interface was renamed to \"\(name)\", and the root goes on there; it moves when there is an "
                    + "interface \"\(hook.interface)\" again")
        } else {
            if before?.action == "rename", done.isEmpty {
                record("rename", hook.description, outcome: "done", by: "sluiced", "the interface has its name back")
            }
            standing[hook] = nil
        }
    }

    private func waiting(for hook: HookID, _ survey: RootSurvey) -> String {
        switch (survey.target, survey.place) {
        case (.noNamespace, .strayed):
            return
                "there is no network namespace \(hook.netns ?? "") any more; as long as its interface lives, the root "
                + "stays there, and it is attached when both come back"
        case (.noNamespace, _):
            return "there is no network namespace \(hook.netns ?? ""); the root is attached when it is back with an "
                + "interface \"\(hook.interface)\""
        default: return "there is no \(hook.target); the root is attached when there is one"
        }
    }

    /// Remembers why a chain is not where it belongs, and says so once: not each minute, nor at each start.
    private func stand(_ hook: HookID, _ action: String, _ outcome: String, _ message: String) {
        guard standing[hook]?.message != message else { return }
        if let last = try? store.lastEvent(of: hook.description), last.action == action, last.message == message {
            standing[hook] = Standing(action: action, message: message, since: last.time)
            return
        }
        // A new reason for the same wait does not begin it anew.
        let since = standing[hook].flatMap { $0.action == action ? $0.since : nil } ?? Store.timestamp()
        standing[hook] = Standing(action: action, message: message, since: since)
        record(action, hook.description, outcome: outcome, by: "sluiced", message)
    }
}
