// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// The hooks of a cgroup: `cgroup-skb-ingress:PATH` and its like, and `sockops:PATH`. A link each, beside the programs of
/// others, as systemd's own for `IPAddressDeny=`.
///
/// A link ends with its cgroup. One that is made again, as when a service is restarted, is another cgroup, and the root is
/// attached to it anew.
struct CgroupHook: DisplacingHook {
    let directory: HookDirectory

    private var kind: ProgramKind { hook.program(frags: false) }

    func checkPlace() throws(APIErrorBody) { _ = try folder() }

    func attach(mode: AttachMode, replace: Bool) throws(APIErrorBody) -> (mode: String?, notes: [String]) {
        let folder = try folder()
        do throws(BPFError) {
            let root = try BPFProgram.pinned(at: directory.root)
            let old: BPFLink? = try Bpffs.exists(directory.link) ? BPFLink.pinned(at: directory.link) : nil
            let link = try Cgroup.attach(root, as: kind, to: folder)
            FaultPoint.linkAttached.hit()
            try link.pin(inPlaceOf: directory.link)
            FaultPoint.linkPinned.hit()
            if let old, try old.info().isAttached { try? old.detach() }
        } catch {
            throw APIErrorBody(code: error.errno == .noEntry ? "not-found" : "kernel", message: "\(explain(error))")
        }
        return (nil, [])
    }

    func survey() throws(BPFError) -> RootSurvey {
        let folder = Cgroups.folder(of: hook.place)
        let cgroup = folder.flatMap(Cgroups.id)
        let target: RootSurvey.Target = cgroup == nil ? .absent : .present
        let link = try Bpffs.exists(directory.link) ? BPFLink.pinned(at: directory.link).info() : nil
        if let link, link.isAttached {
            return RootSurvey(place: link.cgroup == cgroup ? .attached(nil) : .strayed, target: target)
        }
        guard link == nil, let folder, Bpffs.exists(directory.root) else {
            return RootSurvey(place: .detached, target: target)
        }
        let root = try BPFProgram.pinned(at: directory.root).id
        // It may go while it is looked at.
        let isThere = (try? Cgroup.programs(of: kind, at: folder).contains(root)) ?? false
        return RootSurvey(place: isThere ? .unpinned(nil) : .detached, target: target)
    }

    var place: String { "the cgroup" }

    func atPlace(_ body: () throws(BPFError) -> Void) throws(APIErrorBody) {
        try checkPlace()
        do throws(BPFError) {
            try body()
        } catch {
            throw APIErrorBody(code: "kernel", message: "\(error)")
        }
    }

    func others() throws(BPFError) -> [ForeignProgram] {
        try Cgroup.programs(of: kind, at: present()).filter { !isOurs($0) }.map { ForeignProgram($0, .multi) }
    }

    func isLinked(_ foreign: ForeignProgram) throws(BPFError) -> Bool {
        guard let cgroup = Cgroups.id(of: try present()) else { return false }
        switch try BPFLink.find(program: foreign.id, cgroup: cgroup) {
        case .some: return true
        case .none: return false
        }
    }

    func remove(_ foreign: ForeignProgram) throws(BPFError) {
        guard let program = BPFProgram.withID(foreign.id) else { return }
        try Cgroup.remove(program, as: kind, from: present())
    }

    func attach(_ program: borrowing BPFProgram, _ manner: ForeignProgram.Manner) throws(BPFError) {
        try Cgroup.attachWithoutLink(program, as: kind, to: present())
    }

    var removal: String { "bpftool cgroup detach" }

    /// The cgroup's folder, which may have gone since it was asked for.
    private func present() throws(BPFError) -> String {
        guard let folder = Cgroups.folder(of: hook.place) else {
            throw BPFError("find", "cgroup \(hook.place)", errno: .noEntry)
        }
        return folder
    }

    func repinLink() throws {
        let root = try BPFProgram.pinned(at: directory.root).id
        guard let cgroup = Cgroups.id(of: try folder()), let link = try BPFLink.find(program: root, cgroup: cgroup)
        else {
            throw lostLink(of: root)
        }
        try link.pin(inPlaceOf: directory.link)
    }

    private func folder() throws(APIErrorBody) -> String {
        if let folder = Cgroups.folder(of: hook.place) { return folder }
        guard let mount = Cgroups.mount() else {
            throw APIErrorBody.notFound(
                "attach \(hook): cgroup2 is not mounted; mount it (mount -t cgroup2 none /sys/fs/cgroup)")
        }
        let remedy =
            hook.place.hasPrefix("/")
            ? "create it, or correct the path, which is the one below \(mount)" : "start it, or correct the name"
        throw APIErrorBody.notFound(
            "attach \(hook): there is no cgroup \(hook.place.hasPrefix("/") ? hook.place : "of unit \(hook.place)"); \(remedy)"
        )
    }

    private func explain(_ error: BPFError) -> BPFError {
        let remedy: String? =
            switch error.errno {
            case .notPermitted:
                "a program is attached to this cgroup or to one above that tolerates no other (without "
                    + "BPF_F_ALLOW_MULTI); see `bpftool cgroup tree`"
            case .tooBig: "64 programs are attached there, as many as a cgroup takes"
            case .noEntry: "the cgroup has gone meanwhile"
            default: nil
            }
        return BPFError("attach", "\(hook)", cause: remedy ?? error.cause, errno: error.errno)
    }
}
