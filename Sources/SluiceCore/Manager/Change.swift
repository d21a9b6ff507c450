// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Logging
internal import SluiceAPI

/// Why a change is made and by whom, for the records; and how long its steps take.
struct Change {
    var action: String
    var author: String
    var message: String
    private(set) var timings: [Timing] = []
    private var last = ContinuousClock.now

    init(_ action: String, by author: String, message: String) {
        self.action = action
        self.author = author
        self.message = message
    }

    /// The steps and how long each took, for the log: `load 12.3 ms, attach 4.0 ms`.
    var course: String {
        timings.map { "\($0.step) \(($0.milliseconds * 10).rounded() / 10) ms" }.joined(separator: ", ")
    }

    /// What was done, and why, as the records hold it.
    func told(_ lines: [String]) -> String {
        (lines + (message.isEmpty ? [] : ["message: \(message)"])).joined(separator: "; ")
    }

    /// Ends a step; of one that is taken again, the times are added up.
    mutating func lap(_ step: String) {
        let now = ContinuousClock.now
        let milliseconds = (now - last) / .milliseconds(1)
        if let index = timings.firstIndex(where: { $0.step == step }) {
            timings[index].milliseconds += milliseconds
        } else {
            timings.append(Timing(step: step, milliseconds: milliseconds))
        }
        last = now
    }
}

extension Manager {
    /// Builds a generation beside the running one, tries it, and flips to it. When anything fails before the flip, the
    /// kernel, the database and the artifacts are as they were.
    ///
    /// With a canary the generation gets a share of the flows first, and the flip comes later or never.
    func commit(
        _ prepared: PreparedChain, _ change: Change, replace: Bool, canary: CanaryPlan? = nil
    ) throws -> ChainChange {
        var change = change
        let hook = prepared.hook
        let directory = directory(hook)
        let attachment = directory.attachment
        let chain = prepared.resolved
        var lines: [String] = []
        var hasAttached = false
        if let live = prepared.live?.number { _ = try mergeState(into: live, of: hook) }
        if canary != nil { try checkCanary(prepared) }
        let survey = try failing("\(change.action) \(hook)") { try attachment.survey() }
        // A chain that waits for its interface changes all the same, and is attached when that comes.
        let isWaiting = survey.isWaiting && prepared.live != nil
        let attaches = !survey.isInPlace && !isWaiting
        if attaches { try attachment.check(replace: replace) }
        change.lap("check")

        for digest in Set(chain.stages.map(\.artifact)).sorted() {
            try artifacts.keep(digest, from: prepared.sources[digest]!)
        }
        FaultPoint.artifactsKept.hit()
        let number = try store.begin(
            chain, author: change.author, message: change.message, changes: prepared.changes)
        FaultPoint.generationRecorded.hit()
        change.lap("record")
        do {
            progress(change.action, hook.description, by: change.author, "building generation \(number)")
            if prepared.live == nil, survey.place == .detached {
                try Bpffs.removeTree(directory.path)
                try attachment.makeRoot(for: chain)
            }
            // Before the flip, so that a crash behind it leaves word of what is to go.
            let displacing = prepared.displaced.flatMap { foreign in
                (attachment as? any DisplacingHook).map { (hook: $0, foreign: foreign) }
            }
            if let (hook, foreign) = displacing {
                try hook.atPlace { () throws(BPFError) in try hook.keep(foreign, leaving: true) }
            }
            let tried = try raise(
                chain, as: number, in: directory, taking: prepared.transfer, inheriting: prepared.inherited,
                flips: canary == nil
            ) { change.lap($0) }
            lines.append(
                "generation \(number): \(chain.stages.count) stages loaded, \(tried) sample packets as expected")
            if let canary, let live = prepared.live?.number {
                lines += try startCanary(canary, of: number, beside: live, chain, change)
                change.lap("split")
                record(
                    "canary", hook.description, outcome: "done", by: change.author,
                    change.told(Array(lines.dropFirst())))
                return ChainChange(
                    hook: hook.description, from: live, to: live, canary: number, lines: lines + prepared.plan.notes,
                    timings: change.timings)
            }
            if isWaiting { lines.append("the root is attached when there is \(hook.aTarget)") }
            if attaches {
                let (mode, notes) = try attachment.attach(mode: chain.spec.mode, replace: replace)
                hasAttached = true
                lines += ["attached the root to \(hook)\(mode.inBrackets)"] + notes
                change.lap("attach")
            }
            if let (hook, foreign) = displacing {
                let what = foreign.title
                try hook.atPlace { () throws(BPFError) in try hook.takeOff(foreign) }
                lines.append("replaced \(what), which was on \(hook.place); `detach --restore` puts it back")
                change.lap("take over")
            }
        } catch {
            if hasAttached, prepared.live == nil {
                try? attachment.takeOff()
                waitForPacketsInFlight()
            }
            discard(number, of: hook, backTo: prepared.live?.number)
            throw APIErrorBody(error, during: "\(change.action) \(hook)")
        }
        // The traffic has moved: from here on nothing may fail the change, only be told.
        let merged = mergeStateOrTell(into: number, of: hook, by: change.author)
        if !merged.isEmpty { change.lap("merge") }
        lines += merged
        recordLive(number, of: hook)
        FaultPoint.liveRecorded.hit()
        record(
            change.action, hook.description, outcome: "done", by: change.author,
            change.told(
                [describe(number, from: prepared.live?.number, chain)]
                    + lines.dropFirst().filter { $0.hasPrefix("generic mode") || $0.hasPrefix("replaced") } + merged))
        FaultPoint.changeRecorded.hit()
        change.lap("audit")
        lines += retire(hook)
        change.lap("retire")
        return ChainChange(
            hook: hook.description, from: prepared.live?.number, to: number, lines: lines + prepared.plan.notes,
            timings: change.timings)
    }

    /// Builds a generation, tries it and moves the traffic to it; cleaning up after a failure is the caller's.
    /// - Parameters:
    ///   - isNew: whether it has yet to pass the preflight.
    ///   - flips: whether the traffic moves there.
    ///   - lap: told of each step that is done.
    /// - Returns: How many sample packets were tried.
    func raise(
        _ chain: ResolvedChain, as number: Int, in directory: HookDirectory, taking transfer: StateTransfer = [:],
        inheriting inherited: InheritedMaps = [:], isNew: Bool = true, flips: Bool = true,
        lap: (String) -> Void = { _ in }
    ) throws -> Int {
        let (artifacts, store) = (artifacts, store)
        let builder = GenerationBuilder(
            directory: directory, chain: chain, number: number, transfer: transfer, inherited: inherited,
            written: {
                try store.entries(of: directory.hook.description, stage: $0, map: $1, schema: $2, generation: number)
            }, artifact: { artifacts.path($0) })
        try builder.build()
        lap("load")
        var tried = 0
        if isNew {
            tried = try Preflight(directory: directory, chain: chain, number: number) { artifacts.path($0) }.run()
            FaultPoint.preflightDone.hit()
            lap("preflight")
        }
        try builder.complete()
        guard flips else { return tried }
        try directory.flip(to: number)
        FaultPoint.flipped.hit()
        lap("flip")
        return tried
    }

    /// Records what `entry[0]` says already. A failure is told, not thrown.
    func recordLive(_ number: Int, of hook: HookID) {
        do {
            try store.setLive(number, of: hook.description)
        } catch {
            logger.error("cannot record the live generation; the next start will", metadata: ["error": "\(error)"])
        }
    }

    private func describe(_ number: Int, from old: Int?, _ chain: ResolvedChain) -> String {
        let stages = chain.stages.map { "\($0.name) (\($0.title))" }.joined(separator: ", ")
        let move = old.map { "generation \($0) -> \(number)" } ?? "generation \(number)"
        return "\(move): \(stages)"
    }

    /// Undoes an unfinished build: its pins, its record, what only it needed.
    private func discard(_ number: Int, of hook: HookID, backTo live: Int?) {
        let directory = directory(hook)
        do {
            if let live, try directory.traffic() != HookDirectory.Traffic(live: live) { try directory.flip(to: live) }
            canaries[hook] = nil
            try (directory.attachment as? any DisplacingHook)?.settleLeaving(tookOver: false)
            if try live == nil && !directory.attachment.isAttached() {
                try Bpffs.removeTree(directory.path)
            } else {
                try Bpffs.removeTree(directory.building(number).path)
                if directory.canary.exists {
                    waitForPacketsInFlight()
                    try Bpffs.removeTree(directory.canary.path)
                }
                if Bpffs.exists(directory.generation(number).path) {
                    waitForPacketsInFlight()
                    try directory.remove(number)
                }
                _ = try collectState(directory)
            }
            try store.endCanary(of: hook.description)
            updateRuns()
            try store.forget(number, of: hook.description)
            _ = try collectArtifacts()
        } catch {
            logger.error("cannot clean up generation \(number); the next start will", metadata: ["error": "\(error)"])
        }
    }

    /// Removes the oldest generations beyond the number to keep; never the live one, the one before it or a
    /// canary's candidate. Failures are told, not thrown: the change itself is done.
    func retire(_ hook: HookID) -> [String] {
        let directory = directory(hook)
        var lines: [String] = []
        do {
            let traffic = try directory.traffic()
            let live = traffic?.live
            let previous = try previousGeneration(of: hook, live: live)
            var numbers = try directory.generations().filter { $0 != traffic?.candidate }
            guard numbers.count > configuration.keep else { return [] }
            FaultPoint.retireStarted.hit()
            waitForPacketsInFlight()
            for number in numbers
            where numbers.count > configuration.keep && ![live, previous].contains(number) {
                try directory.remove(number)
                try store.setState(.retired, of: number, hook.description)
                FaultPoint.retireRecorded.hit()
                numbers.removeAll { $0 == number }
                lines.append("retired generation \(number)")
            }
            _ = try collectState(directory)
            FaultPoint.stateCollected.hit()
            _ = try collectArtifacts()
            FaultPoint.artifactsCollected.hit()
        } catch {
            logger.error("cannot retire generations of \(hook); gc will", metadata: ["error": "\(error)"])
            lines.append("could not retire old generations: \(error); `sluicectl gc` tries again")
        }
        return lines
    }

    /// The kept generation that was live last: where a rollback goes unless told otherwise.
    func previousGeneration(of hook: HookID, live: Int?) throws -> Int? {
        let pinned = Set(try directory(hook).generations())
        return try store.openGenerations(of: hook.description)
            .filter { $0.number != live && pinned.contains($0.number) && $0.liveOrder > 0 }
            .max { $0.liveOrder < $1.liveOrder }?.number
    }
}
