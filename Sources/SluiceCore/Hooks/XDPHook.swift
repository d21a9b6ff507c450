// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import SluiceObjects

/// The XDP hook: its root, and how that is attached to an interface.
struct XDPHook {
    let directory: HookDirectory
    var hook: HookID { directory.hook }

    /// Loads the root and pins it, not yet attached. Of what is pinned already, the slot and the counters are kept: a
    /// root made anew goes on where the lost one was.
    func makeRoot(for chain: ResolvedChain) throws {
        try Bpffs.makeFolder(directory.path)
        FaultPoint.rootFolderMade.hit()
        let object = try BPFObject(bytes: SluiceObjects.xdpRoot, name: "xdp_root.bpf.o")
        try object.setConstant("sluice_on_fault", to: chain.spec.onFault.xdp)
        let maps = [("sluice_entry", directory.entry), ("sluice_root_counters", directory.fallback)]
        let missing = maps.filter { !Bpffs.exists($0.1) }
        for (name, path) in maps where Bpffs.exists(path) { try object.map(name)?.reuse(BPFMap.pinned(at: path)) }
        try object.loadXDP(program: "sluice_xdp_root", frags: chain.frags)
        for (name, path) in missing { try object.loadedMap(name).pin(at: path) }
        FaultPoint.entryPinned.hit()
        try object.program("sluice_xdp_root").pin(inPlaceOf: directory.root)
        FaultPoint.rootPinned.hit()
    }

    /// What of the root is not as it was made and attached; empty when all is.
    func rootDamage() throws(BPFError) -> [String] {
        let losses = try rootLosses()
        guard losses.isEmpty, try linkRunsAnother() else { return losses }
        return ["another program than the root is attached"]
    }

    /// Makes the root anew if need be, and has the link run it: in place, with no packet lost.
    func mendRoot(for chain: ResolvedChain) throws {
        if try !rootLosses().isEmpty { try makeRoot(for: chain) }
        guard try linkRunsAnother() else { return }
        try BPFLink.pinned(at: directory.link).update(to: BPFProgram.pinned(at: directory.root))
    }

    private func rootLosses() throws(BPFError) -> [String] {
        let pins = [("root", directory.root), ("entry", directory.entry), ("fallback", directory.fallback)]
        var found = pins.filter { !Bpffs.exists($0.1) }.map { "the pin \"\($0.0)\" has gone" }
        guard found.isEmpty else { return found }
        let maps = try BPFProgram.pinned(at: directory.root).mapIDs()
        for (name, path) in pins.dropFirst() where try !maps.contains(BPFMap.pinned(at: path).id) {
            found.append("the root does not use the map that is pinned as \"\(name)\"")
        }
        return found
    }

    private func linkRunsAnother() throws(BPFError) -> Bool {
        guard Bpffs.exists(directory.link) else { return false }
        let link = try BPFLink.pinned(at: directory.link).info()
        let root = try BPFProgram.pinned(at: directory.root).id
        return link.interface != 0 && link.programID != root
    }

    /// Says whether the root could be attached, without doing it: the interface is there, and no one else's program on
    /// it, or one that can be replaced.
    func check(replace: Bool) throws(APIErrorBody) {
        try inNamespace { interface throws(BPFError) in
            for foreign in try XDP.attached(to: interface) where !isOurs(foreign) {
                guard replace else { throw refusal(foreign) }
                if let obstacle = obstacle(to: foreign, on: interface) { throw obstacle }
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

    /// Says whether the interface is there.
    func checkInterface() throws(APIErrorBody) {
        try inNamespace { _ throws(BPFError) in }
    }

    /// Attaches the root by a link and pins that; then ends the link that was pinned before, if it is still somewhere.
    /// A foreign program is off the interface for no longer than it takes to attach in its place, and back again if
    /// that fails. Gives the mode, and what an operator ought to know.
    func attach(mode: AttachMode, replace: Bool) throws(APIErrorBody) -> (mode: XDPMode, notes: [String]) {
        var notes: [String] = []
        var used = mode == .generic ? XDPMode.generic : .native
        try inNamespace { interface throws(BPFError) in
            let root = try BPFProgram.pinned(at: directory.root)
            let old: BPFLink? = try Bpffs.exists(directory.link) ? BPFLink.pinned(at: directory.link) : nil
            let foreign = try XDP.attached(to: interface).filter { !isOurs($0) }
            var removed: [(what: String, at: ContinuousClock.Instant)] = []
            for foreign in foreign {
                guard replace else { throw refusal(foreign) }
                removed.append((Self.describe(foreign), .now))
                try displace(foreign, from: interface)
            }
            let link: BPFLink
            do throws(BPFError) {
                link = try makeLink(of: root, to: interface, mode, &used, &notes)
            } catch {
                throw explain(error, mode: used, after: putBack(foreign, on: interface))
            }
            notes += removed.map {
                "replaced \($0.what), which was on the interface; the hook was bare for \($0.at.milliseconds) ms; "
                    + "`detach --restore` puts it back"
            }
            FaultPoint.linkAttached.hit()
            try link.pin(inPlaceOf: directory.link)
            FaultPoint.linkPinned.hit()
            if let old, try old.info().interface != 0 { try? old.detach() }
        }
        return (used, notes)
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
    private func putBack(_ foreign: [XDP.Attached], on interface: Int) -> [String] {
        foreign.map { foreign in
            do throws(BPFError) {
                let program = try BPFProgram.pinned(at: directory.foreign(foreign.mode))
                try XDP.attachWithoutLink(program, to: interface, mode: foreign.mode)
                try Pin.remove(directory.foreign(foreign.mode))
                return "program \"\(program.name)\" is on the interface again"
            } catch {
                return "the program that was there could not be put back (\(error)); the hook is bare now"
            }
        }
    }

    /// Finds the link of the attached root, whose pin has gone, and pins it again.
    func repinLink() throws {
        try inNamespace { interface throws(BPFError) in
            let root = try BPFProgram.pinned(at: directory.root).id
            guard let link = try BPFLink.find(program: root, interface: interface) else {
                throw BPFError(
                    "find", "the link of \(hook)",
                    cause: "it must be looked up by its id, which needs CAP_SYS_ADMIN (netns.conf.example in the "
                        + "documentation's folder); who holds it: "
                        + BPFLink.holders(of: root).joined(separator: ", "))
            }
            try link.pin(inPlaceOf: directory.link)
        }
    }

    /// Takes the root off wherever it is, and removes the link's pin.
    func takeOff() throws(BPFError) {
        guard Bpffs.exists(directory.link) else { return }
        try? BPFLink.pinned(at: directory.link).detach()
        FaultPoint.linkDetached.hit()
        try Pin.remove(directory.link)
    }

    /// Runs `body` with the interface's index in its network namespace.
    func inNamespace(_ body: (Int) throws(BPFError) -> Void) throws(APIErrorBody) {
        do throws(BPFError) {
            try inNetworkNamespace(hook.netns) { () throws(BPFError) in
                guard let interface = XDP.interfaceIndex(hook.interface) else {
                    throw BPFError(
                        "attach", "\(hook)",
                        cause: "there is no interface \"\(hook.interface)\"\(place); create it, or correct the name")
                }
                try body(interface)
            }
        } catch {
            if error.operation == "enter network namespace" || error.object == hook.netns {
                throw APIErrorBody(
                    code: error.errno == .noEntry ? "not-found" : "kernel",
                    message: "\(hook): \(error); "
                        + (error.errno == .notPermitted
                            ? "entering a network namespace needs CAP_SYS_ADMIN (units/sluiced.service.d/netns.conf.example)"
                            : "create the namespace (ip netns add NAME), or correct the path"))
            }
            throw APIErrorBody(
                code: error.cause?.contains("there is no interface") == true ? "not-found" : "kernel",
                message: "\(error)")
        }
    }

    private var place: String { hook.netns.map { " in network namespace \($0)" } ?? "" }

    /// The root, or what a lost root's link still runs.
    func isOurs(_ attached: XDP.Attached) -> Bool {
        (try? BPFProgram.pinned(at: directory.root).id) == attached.programID
            || (try? BPFLink.pinned(at: directory.link).info().programID) == attached.programID
    }

    private func refusal(_ foreign: XDP.Attached) -> BPFError {
        let cause =
            if let owner = owner(of: foreign) {
                "the interface still runs the root of \(owner), as which it was renamed; detach \(owner) first, or give "
                    + "the interface its name back"
            } else {
                "the interface already runs \(Self.describe(foreign)); remove it, adopt it, or pass --replace"
            }
        return BPFError("attach", "\(hook)", cause: cause)
    }

    /// The chain whose root that is, when it is one of Sluice's.
    func owner(of attached: XDP.Attached) -> HookID? {
        let folder = String(directory.path.dropLast(hook.directoryName.utf8.count + 1))
        return ((try? Bpffs.list(folder)) ?? []).compactMap { HookID(directoryName: $0) }.first {
            (try? BPFProgram.pinned(at: HookDirectory($0, in: folder).root).id) == attached.programID
        }
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

    /// `program "xdp_filter" (#158, native)`; the name only where it may be looked up.
    static func describe(_ foreign: XDP.Attached) -> String {
        let name: String? =
            if let program = BPFProgram.withID(foreign.programID) { program.name } else { nil }
        return "program \(name.map { "\"\($0)\" " } ?? "")(#\(foreign.programID), \(foreign.mode))"
    }
}

extension ContinuousClock.Instant {
    /// How many milliseconds ago it was, to two places.
    fileprivate var milliseconds: Double { (((ContinuousClock.now - self) / .milliseconds(1)) * 100).rounded() / 100 }
}
