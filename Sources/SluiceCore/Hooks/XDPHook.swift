// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI

/// The XDP hook: its root, and how that is attached to an interface.
struct XDPHook: InterfaceHook {
    let directory: HookDirectory

    /// Says whether the root could be attached, without doing it: the interface is there, and no one else's program on
    /// it, or one that can be replaced.
    func check(replace: Bool) throws(APIErrorBody) {
        try atPlace { () throws(BPFError) in
            for foreign in try others() {
                guard replace else { throw refusal(foreign) }
                if let obstacle = obstacle(to: foreign) { throw obstacle }
            }
        }
    }

    /// Whether the interface's frames may be too big for one page, which is all that native XDP without frags takes.
    /// Drivers differ by some hundred bytes (3,498 at best, 3,050 at worst), and the length of a packet in fragments
    /// costs a stage about 9 ns.
    func needsFrags() throws(APIErrorBody) -> Bool {
        var mtu = 0
        try inNamespace { _ throws(BPFError) in mtu = XDP.mtu(hook.interface) ?? 0 }
        return mtu > 3000
    }

    func programs(on interface: Int) throws(BPFError) -> [AttachedHere] {
        try XDP.attached(to: interface).map { AttachedHere(id: $0.programID, mode: $0.mode.rawValue) }
    }

    static let isExclusive = true

    /// Attaches the root by a link and pins that; then ends the link that was pinned before, if it is still somewhere.
    /// A foreign program is off the interface for no longer than it takes to attach in its place, and back again if
    /// that fails. Gives the mode, and what an operator ought to know.
    func attach(mode: AttachMode, replace: Bool) throws(APIErrorBody) -> (mode: String?, notes: [String]) {
        var notes: [String] = []
        var used = mode == .generic ? XDPMode.generic : .native
        try inNamespace { interface throws(BPFError) in
            let root = try BPFProgram.pinned(at: directory.root)
            let old: BPFLink? = try Bpffs.exists(directory.link) ? BPFLink.pinned(at: directory.link) : nil
            let foreign = try others()
            var removed: [(what: String, at: ContinuousClock.Instant)] = []
            for foreign in foreign {
                guard replace else { throw refusal(foreign) }
                removed.append((foreign.title, .now))
                try keep(foreign)
                try takeOff(foreign)
            }
            let link: BPFLink
            do throws(BPFError) {
                link = try makeLink(of: root, to: interface, mode, &used, &notes)
            } catch {
                throw explain(error, mode: used, after: putBack(foreign))
            }
            notes += removed.map {
                "replaced \($0.what), which was on the interface; the hook was bare for \($0.at.milliseconds) ms; "
                    + "`detach --restore` puts it back"
            }
            FaultPoint.linkAttached.hit()
            try link.pin(inPlaceOf: directory.link)
            FaultPoint.linkPinned.hit()
            if let old, try old.info().isAttached { try? old.detach() }
        }
        return (used.rawValue, notes)
    }

    private func makeLink(
        of root: borrowing BPFProgram, to interface: Int, _ mode: AttachMode, _ used: inout XDPMode,
        _ notes: inout [String]
    ) throws(BPFError) -> BPFLink {
        do throws(BPFError) {
            return try XDP.attach(root, to: interface, mode: used)
        } catch {
            guard mode == .auto, error.errno == .notSupported else { throw error }
            used = .generic
            notes.append("generic mode: the driver of \(hook.interface) has no native XDP; every packet costs more")
            return try XDP.attach(root, to: interface, mode: .generic)
        }
    }

    /// Puts back what was displaced a moment ago. Says what came of it.
    private func putBack(_ foreign: [ForeignProgram]) -> [String] {
        foreign.map { foreign in
            do throws(BPFError) {
                let program = try BPFProgram.pinned(at: directory.foreign(foreign))
                try attach(program, foreign.manner)
                try Pin.remove(directory.foreign(foreign))
                return "program \"\(program.name)\" is on the interface again"
            } catch {
                return "the program that was there could not be put back (\(error)); the hook is bare now"
            }
        }
    }

    func others() throws(BPFError) -> [ForeignProgram] {
        try XDP.attached(to: index()).filter { !isOurs($0.programID) }.map { .init($0.programID, .init($0.mode)) }
    }

    func isLinked(_ foreign: ForeignProgram) throws(BPFError) -> Bool {
        switch try BPFLink.find(program: foreign.id, interface: index()) {
        case .some: true
        case .none: false
        }
    }

    func remove(_ foreign: ForeignProgram) throws(BPFError) {
        try XDP.remove(foreign.id, mode: foreign.manner.xdpMode, from: index())
    }

    func attach(_ program: borrowing BPFProgram, _ manner: ForeignProgram.Manner) throws(BPFError) {
        try XDP.attachWithoutLink(program, to: index(), mode: manner.xdpMode)
    }

    var removal: String { "ip link set dev \(hook.interface) xdp off" }

    private func refusal(_ foreign: ForeignProgram) -> BPFError {
        let cause =
            if let owner = owner(of: foreign.id) {
                "the interface still runs the root of \(owner), as which it was renamed; detach \(owner) first, or give "
                    + "the interface its name back"
            } else {
                "the interface already runs \(foreign.title); remove it, adopt it, or pass --replace"
            }
        return BPFError("attach", "\(hook)", cause: cause)
    }

    private func explain(_ error: BPFError, mode: XDPMode, after done: [String]) -> BPFError {
        let remedy: String? =
            switch error.errno {
            case .notSupported where mode == .native:
                "the driver of \(hook.interface) has no native XDP; set `mode: auto` or `mode: generic`"
            case .range: "the interface's MTU is too big for programs without frags; set `frags: true` or lower the MTU"
            case .busy, .exists: "another program took the interface meanwhile; see `bpftool net`"
            default: nil
            }
        let cause = ([remedy ?? error.cause].compactMap(\.self) + done).joined(separator: "; ")
        return BPFError("attach", "\(hook) (\(mode))", cause: cause.isEmpty ? nil : cause, errno: error.errno)
    }
}

extension ContinuousClock.Instant {
    /// How many milliseconds ago it was, to two places.
    fileprivate var milliseconds: Double { (((ContinuousClock.now - self) / .milliseconds(1)) * 100).rounded() / 100 }
}
