// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import SluiceObjects
internal import StageKit

/// `tc-ingress:IF` and `tc-egress:IF`: by a tcx link from Linux 6.6 on, before that as a classifier of the clsact qdisc. Both
/// take many programs: those of others stay where they are.
///
/// A classifier has no link and no pin. It is known by its program, the root, which is pinned; so whatever a crash leaves,
/// it is found again.
struct TCHook: InterfaceHook {
    let directory: HookDirectory

    static let tcx = "tcx"
    static let clsact = "clsact"

    /// Sluice's own place among classifiers: "slu", and a handle for the chain. Behind what others put at low numbers.
    private static let priority = 0x51
    private static let handle = 0x51ce

    private var direction: TrafficControl.Direction { hook.kind == .tcEgress ? .egress : .ingress }
    /// Says that the clsact qdisc is of our making; a symbolic link to nothing, as a bpffs has no other files.
    private var madeQdisc: String { "\(directory.path)/qdisc" }

    func programs(on interface: Int) throws(BPFError) -> [AttachedHere] {
        let isEgress = direction == .egress
        return try Interfaces.tcx(of: interface).filter { $0.isEgress == isEgress }
            .map { AttachedHere(id: $0.programID, mode: Self.tcx) }
            + classifiers(on: interface).map { AttachedHere(id: $0.programID, mode: Self.clsact) }
    }

    func others() throws(BPFError) -> [ForeignProgram] {
        let (interface, isEgress) = (try index(), direction == .egress)
        let all: [ForeignProgram] =
            try Interfaces.tcx(of: interface).filter { $0.isEgress == isEgress }.map { .init($0.programID, .tcx) }
            + classifiers(on: interface).map {
                .init($0.programID, .classifier(priority: $0.priority, handle: $0.handle))
            }
        return all.filter { !isOurs($0.id) }
    }

    private func classifiers(on interface: Int) throws(BPFError) -> [Interfaces.Classifier] {
        try Interfaces.classifiers().filter { $0.interface == interface && $0.isEgress == (direction == .egress) }
    }

    func peculiarity(of foreign: ForeignProgram) throws(BPFError) -> String? {
        guard case .classifier(let priority, let handle) = foreign.manner else { return nil }
        let found = try classifiers(on: index()).first {
            $0.programID == foreign.id && $0.priority == priority && $0.handle == handle
        }
        return found?.isDirect == false
            ? "it is a classifier of some protocol, of another chain of filters or without `direct-action`, and a stage is "
                + "asked for all packets and decides" : nil
    }

    func isLinked(_ foreign: ForeignProgram) throws(BPFError) -> Bool {
        guard foreign.manner == .tcx else { return false }
        return try Interfaces.tcx(of: index()).contains {
            $0.programID == foreign.id && $0.isEgress == (direction == .egress) && $0.linkID != 0
        }
    }

    func remove(_ foreign: ForeignProgram) throws(BPFError) {
        if case .classifier(let priority, let handle) = foreign.manner {
            // Whoever put another one there meanwhile keeps it.
            guard try others().contains(foreign) else { return }
            return try TrafficControl.removeFilter(from: index(), direction, priority: priority, handle: handle)
        }
        guard let program = BPFProgram.withID(foreign.id) else { return }
        try TrafficControl.remove(program, from: index(), direction)
    }

    func attach(_ program: borrowing BPFProgram, _ manner: ForeignProgram.Manner) throws(BPFError) {
        guard case .classifier(let priority, let handle) = manner else {
            return try TrafficControl.attachWithoutLink(program, to: index(), direction)
        }
        if let other = try classifiers(on: index()).first(where: { $0.priority == priority && $0.handle == handle }) {
            throw BPFError(
                "attach", "program \"\(program.name)\" to \(hook) (\(manner))",
                cause: "classifier \"\(other.name)\" (#\(other.programID)) stands there now; give it another priority")
        }
        try TrafficControl.attachByFilter(program, to: index(), direction, priority: priority, handle: handle)
    }

    var removal: String { "tc filter del dev \(hook.interface) \(direction) ..., or bpftool net detach" }

    func isAttached() throws(BPFError) -> Bool {
        switch try survey().place {
        case .attached, .unpinned, .renamed: true
        case .strayed, .unseen: Bpffs.exists(directory.link)
        case .detached: false
        }
    }

    func attach(mode: AttachMode, replace: Bool) throws(APIErrorBody) -> (mode: String?, notes: [String]) {
        var used = Self.tcx
        try takeOffElsewhere()
        try inNamespace { interface throws(BPFError) in
            let root = try BPFProgram.pinned(at: directory.root)
            if mode != .clsact {
                do throws(BPFError) {
                    let link = try TrafficControl.attachByLink(root, to: interface, direction)
                    FaultPoint.linkAttached.hit()
                    try link.pin(inPlaceOf: directory.link)
                    FaultPoint.linkPinned.hit()
                    return
                } catch {
                    guard error.errno == .invalid, mode != .tcx else { throw explain(error, mode: Self.tcx) }
                }
            }
            used = Self.clsact
            do throws(BPFError) {
                try checkHandle(on: interface)
                let isNew = try TrafficControl.attachByFilter(
                    root, to: interface, direction, priority: Self.priority, handle: Self.handle)
                if isNew { try Bpffs.note(Self.clsact, at: madeQdisc) }
            } catch {
                throw explain(error, mode: Self.clsact)
            }
            FaultPoint.linkAttached.hit()
        }
        return (used, [])
    }

    func takeOff() throws(BPFError) {
        if Bpffs.exists(directory.link) {
            try? BPFLink.pinned(at: directory.link).detach()
            FaultPoint.linkDetached.hit()
            try Pin.remove(directory.link)
        }
        guard Bpffs.exists(directory.root) else { return }
        let root = try BPFProgram.pinned(at: directory.root).id
        do throws(BPFError) {
            try inNetworkNamespace(hook.netns) { () throws(BPFError) in
                for filter in try Interfaces.classifiers() where filter.programID == root { try remove(filter) }
            }
        } catch {
            // A namespace that has gone took the classifier along.
            guard error.object == hook.netns else { throw error }
        }
    }

    private func remove(_ filter: Interfaces.Classifier) throws(BPFError) {
        try TrafficControl.removeFilter(
            from: filter.interface, filter.isEgress ? .egress : .ingress, priority: filter.priority,
            handle: filter.handle)
        FaultPoint.linkDetached.hit()
        guard Bpffs.isNote(madeQdisc) else { return }
        if let other = try Interfaces.classifiers().lazy.filter({ $0.interface == filter.interface })
            .compactMap({ owner(of: $0.programID) }).first
        {
            // It removes the qdisc when it goes.
            try Bpffs.note(Self.clsact, at: TCHook(directory: directory.neighbour(other)).madeQdisc)
        } else if try !Interfaces.hasClassifiers(filter.interface) {
            // Whoever put something there meanwhile keeps it.
            try TrafficControl.removeQdisc(from: filter.interface)
        }
        try Pin.remove(madeQdisc)
    }

    /// What stands at Sluice's own place must be a root: it is replaced, as one that was lost and made anew.
    private func checkHandle(on interface: Int) throws(BPFError) {
        let other = try classifiers(on: interface).first {
            $0.priority == Self.priority && $0.handle == Self.handle
                && !$0.name.hasPrefix(OwnProgram.root.rawValue)
        }
        guard let other else { return }
        throw BPFError(
            "attach", "\(hook) (\(Self.clsact))",
            cause: "classifier \"\(other.name)\" (#\(other.programID)) has priority \(Self.priority) and handle "
                + "\(Self.handle), which are Sluice's; give it others")
    }

    /// A link that is still on another interface, or a classifier there, ends.
    private func takeOffElsewhere() throws(APIErrorBody) {
        do throws(BPFError) {
            switch try survey().place {
            case .renamed, .strayed: try takeOff()
            default: break
            }
        } catch {
            throw APIErrorBody(code: "kernel", message: "\(error)")
        }
    }

    private func explain(_ error: BPFError, mode: String) -> BPFError {
        let remedy: String? =
            switch error.errno {
            case .invalid where mode == Self.tcx:
                "not supported (requires Linux 6.6); leave `mode` out, or set `mode: clsact`"
            case .noEntry: "the kernel has no sch_ingress or cls_bpf; load these modules"
            case .exists where mode == Self.clsact:
                "an ingress qdisc is there, beside which clsact cannot be; remove it (tc qdisc del dev "
                    + "\(hook.interface) ingress)"
            default: nil
            }
        return BPFError("attach", "\(hook) (\(mode))", cause: remedy ?? error.cause, errno: error.errno)
    }
}
