// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI

/// A hook from which a program of others can be taken off, to be put back by a `detach --restore`: a pin keeps it, whose
/// name says how it was attached.
///
/// `foreign_<manner>_<id>` is kept for that; from when it is asked for on it is called `restore_<manner>_<id>`, so that a
/// teardown that was broken off is finished the way it was asked for. `leaving_<manner>_<id>` is still there, while a chain
/// takes over. Where a hook takes several programs, the root is there
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
    /// - Parameter leaving: whether that is to be done, or undone, after a crash: for hooks where the root comes first.
    func keep(_ foreign: ForeignProgram, leaving: Bool = false) throws(BPFError) {
        if let obstacle = obstacle(to: foreign) { throw obstacle }
        guard let program = BPFProgram.withID(foreign.id) else { return }
        try program.pin(inPlaceOf: leaving ? directory.leaving(foreign) : directory.foreign(foreign))
        FaultPoint.foreignPinned.hit()
        // One that had been in the same place before has nowhere to go back to.
        for older in displaced where older.isInTheWay(of: foreign) { try Pin.remove(directory.foreign(older)) }
    }

    /// Takes off what is kept; where it has gone by itself meanwhile, it is kept no more.
    func takeOff(_ foreign: ForeignProgram) throws(BPFError) {
        let isThere = try others().contains(foreign)
        if isThere { try remove(foreign) }
        FaultPoint.foreignRemoved.hit()
        guard Bpffs.exists(directory.leaving(foreign)) else { return }
        if isThere {
            try Bpffs.rename(directory.leaving(foreign), to: directory.foreign(foreign))
        } else {
            try Pin.remove(directory.leaving(foreign))
        }
    }

    /// What was about to be taken off when a change was broken off.
    var leaving: [ForeignProgram] { kept("leaving_") }

    /// Finishes taking that off, or leaves it where it is.
    /// - Parameter tookOver: whether the chain that stands in for it is live, and its root in place.
    func settleLeaving(tookOver: Bool) throws(APIErrorBody) {
        let leaving = leaving
        guard !leaving.isEmpty else { return }
        if tookOver {
            try atPlace { () throws(BPFError) in
                for foreign in leaving {
                    if try others().contains(foreign) { try remove(foreign) }
                    try Bpffs.rename(directory.leaving(foreign), to: directory.foreign(foreign))
                }
            }
        } else {
            do throws(BPFError) {
                for foreign in leaving { try Pin.remove(directory.leaving(foreign)) }
            } catch {
                throw APIErrorBody(code: "kernel", message: "\(error)")
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

    /// Takes the mark away again, and off what is back already beside a root that stays.
    func unmarkForRestoring() {
        let marked = kept("restore_")
        guard !marked.isEmpty else { return }
        if !Self.isExclusive {
            try? atPlace { () throws(BPFError) in
                let there = try others()
                for foreign in marked where there.contains(foreign) { try remove(foreign) }
            }
        }
        for foreign in marked {
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
