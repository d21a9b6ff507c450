// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI

/// A hook from which a program of others can be taken off, to be put back by a `detach --restore`: a pin keeps it, whose
/// name says how it was attached.
///
/// `foreign_<manner>_<id>` is kept for that; from when it is asked for on it is called `restore_<manner>_<id>`, so that a
/// teardown that was broken off is finished the way it was asked for. Where a hook takes several programs, the root is there
/// before the other goes, and the other way round, so that nothing gets past both.
protocol DisplacingHook: Hook {
    /// What the hook is on, as messages call it: `the interface`.
    var place: String { get }
    /// How an operator takes a program off by hand.
    var removal: String { get }

    /// Runs `body` where the place can be reached, for what follows here.
    func atPlace(_ body: () throws(BPFError) -> Void) throws(APIErrorBody)

    /// The programs at the hook that are not the chain's root.
    func others() throws(BPFError) -> [ForeignProgram]
    /// Why a program is asked in a way that no stage can be; nil when it is not.
    func peculiarity(of foreign: ForeignProgram) throws(BPFError) -> String?
    /// Whether a link attaches it.
    func isLinked(_ foreign: ForeignProgram) throws(BPFError) -> Bool
    /// Takes it off; it was attached without a link.
    func remove(_ foreign: ForeignProgram) throws(BPFError)
    /// Attaches a program in the way that it had been.
    func attach(_ program: borrowing BPFProgram, _ manner: ForeignProgram.Manner) throws(BPFError)
}

extension DisplacingHook {
    func peculiarity(of foreign: ForeignProgram) throws(BPFError) -> String? { nil }

    /// Whether it is the root, or what a lost root's link still runs.
    func isOurs(_ program: UInt32) -> Bool {
        (try? BPFProgram.pinned(at: directory.root).id) == program
            || (try? BPFLink.pinned(at: directory.link).info().programID) == program
    }

    /// Why a program of others cannot be displaced; nil when it can.
    func obstacle(to displacing: ForeignProgram) -> BPFError? {
        let what = displacing.title
        if let owner = owner(of: displacing.id) {
            return BPFError("replace", "\(what) on \(hook)", cause: "it is the root of \(owner); detach that first")
        }
        // What cannot be told apart may not be taken off.
        if (try? isLinked(displacing)) ?? true {
            let holders = BPFLink.holders(of: displacing.id)
            return BPFError(
                "replace", "\(what) on \(hook)",
                cause: "it is attached by a link, which only its owner can end: "
                    + (holders.isEmpty ? "see `bpftool link`" : holders.joined(separator: ", ")))
        }
        guard BPFProgram.withID(displacing.id) == nil else { return nil }
        return BPFError(
            "replace", "\(what) on \(hook)",
            cause: "to keep it for a `detach --restore`, it must be looked up by its id, which needs CAP_SYS_ADMIN "
                + "(netns.conf.example in the documentation's folder); or take it off yourself, for good: \(removal)")
    }

    /// Keeps a pin of a program that is about to be taken off.
    func keep(_ foreign: ForeignProgram) throws(BPFError) {
        if let obstacle = obstacle(to: foreign) { throw obstacle }
        guard let program = BPFProgram.withID(foreign.id) else { return }
        try program.pin(inPlaceOf: directory.foreign(foreign))
        FaultPoint.foreignPinned.hit()
    }

    /// Takes off what is kept.
    func takeOff(_ foreign: ForeignProgram) throws(BPFError) {
        try remove(foreign)
        FaultPoint.foreignRemoved.hit()
    }

    /// Finishes, or forgets, a displacing beside the root that was broken off.
    /// - Parameter tookOver: whether the chain that was to stand in is live.
    func settleDisplaced(tookOver: Bool) throws(APIErrorBody) {
        guard !Self.isExclusive, !displaced.isEmpty else { return }
        try atPlace { () throws(BPFError) in
            let there = try others()
            for foreign in displaced where there.contains(foreign) {
                if tookOver { try remove(foreign) } else { try Pin.remove(directory.foreign(foreign)) }
            }
        }
    }

    /// What was displaced.
    private var displaced: [ForeignProgram] { kept("foreign_") }

    private func kept(_ prefix: String) -> [ForeignProgram] {
        ((try? Bpffs.list(directory.path)) ?? []).filter { $0.hasPrefix(prefix) }.sorted()
            .compactMap { ForeignProgram(name: $0.dropFirst(prefix.count)) }
    }

    /// Marks what was displaced for being attached again when the hook is taken down.
    /// - Throws: when nothing was displaced, or there is no place to put it.
    func markForRestoring() throws {
        guard !displaced.isEmpty else {
            throw APIErrorBody.notFound("\(hook): no program was replaced here, so there is none to restore")
        }
        try checkPlace()
        for foreign in displaced { try Bpffs.rename(directory.foreign(foreign), to: directory.restoring(foreign)) }
        FaultPoint.restoreMarked.hit()
    }

    /// Takes the mark away again.
    func unmarkForRestoring() {
        for foreign in kept("restore_") {
            try? Bpffs.rename(directory.restoring(foreign), to: directory.foreign(foreign))
        }
    }

    /// Lets go of what was displaced. Says of what.
    func forgetDisplaced() throws(BPFError) -> [String] {
        unmarkForRestoring()
        return try displaced.map { foreign throws(BPFError) in
            let name = try BPFProgram.pinned(at: directory.foreign(foreign)).name
            try Pin.remove(directory.foreign(foreign))
            return "program \"\(name)\", which was replaced here, is not put back and forgotten"
        }
    }

    /// Attaches again what is marked for it.
    func restore() throws(APIErrorBody) -> [String] {
        var lines: [String] = []
        let marked = kept("restore_")
        guard !marked.isEmpty else { return [] }
        try atPlace { () throws(BPFError) in
            // A restoring that was broken off may have come as far as that.
            let there = try others()
            for foreign in marked {
                let program = try BPFProgram.pinned(at: directory.restoring(foreign))
                if !there.contains(foreign) { try attach(program, foreign.manner) }
                FaultPoint.foreignRestored.hit()
                lines.append("program \"\(program.name)\" (#\(program.id), \(foreign.manner)) is on \(place) again")
            }
        }
        return lines
    }

    func displacedNotes() throws(BPFError) -> [String] {
        try displaced.map { foreign throws(BPFError) in
            let name = try BPFProgram.pinned(at: directory.foreign(foreign)).name
            return "program \"\(name)\" (\(foreign.manner)) was replaced here; `detach --restore` puts it back"
        }
    }
}
