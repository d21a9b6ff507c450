// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import SluiceObjects

/// The XDP hook: its root, and how that is attached to an interface.
struct XDPHook {
    let directory: HookDirectory
    private var hook: HookID { directory.hook }

    /// Loads the root and pins it, not yet attached.
    func makeRoot(for chain: ResolvedChain) throws {
        try Bpffs.makeFolder(directory.path)
        FaultPoint.rootFolderMade.hit()
        let object = try BPFObject(bytes: SluiceObjects.xdpRoot, name: "xdp_root.bpf.o")
        try object.setConstant("sluice_on_fault", to: chain.spec.onFault.xdp)
        try object.loadXDP(program: "sluice_xdp_root", frags: chain.frags)
        try object.loadedMap("sluice_entry").pin(at: directory.entry)
        FaultPoint.entryPinned.hit()
        try object.loadedMap("sluice_root_counters").pin(at: directory.fallback)
        try object.program("sluice_xdp_root").pin(at: directory.root)
        FaultPoint.rootPinned.hit()
    }

    /// Says whether the root could be attached, without doing it: the interface is there, and no one else's program on
    /// it.
    func check(replace: Bool) throws(APIErrorBody) {
        try inNamespace { interface throws(BPFError) in
            if !replace, let foreign = try XDP.attached(to: interface).first(where: { !isOurs($0) }) {
                throw refusal(foreign)
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

    /// Attaches the root by a link and pins that. Gives the mode, and what an operator ought to know.
    func attach(mode: AttachMode, replace: Bool) throws(APIErrorBody) -> (mode: XDPMode, notes: [String]) {
        var notes: [String] = []
        var used = mode == .generic ? XDPMode.generic : .native
        try inNamespace { interface throws(BPFError) in
            for foreign in try XDP.attached(to: interface) where !isOurs(foreign) {
                guard replace else { throw refusal(foreign) }
                try Self.remove(foreign, from: interface)
                notes.append("replaced \(Self.describe(foreign)), which was on the interface")
            }
            let root = try BPFProgram.pinned(at: directory.root)
            let link: BPFLink
            do throws(BPFError) {
                link = try XDP.attach(root, to: interface, mode: used)
            } catch {
                guard mode == .auto, error.errno == .notSupported else {
                    throw explain(error, mode: used, after: notes)
                }
                used = .generic
                notes.append("generic mode: the driver of \(hook.interface) has no native XDP; every packet costs more")
                do throws(BPFError) { link = try XDP.attach(root, to: interface, mode: .generic) } catch {
                    throw explain(error, mode: used, after: notes)
                }
            }
            FaultPoint.linkAttached.hit()
            // A dead link's pin may still be there, from an interface that has gone.
            try Pin.remove(directory.link)
            try link.pin(at: directory.link)
            FaultPoint.linkPinned.hit()
        }
        return (used, notes)
    }

    /// How our root runs now; nil when that cannot be seen.
    func mode() -> XDPMode? {
        var mode: XDPMode?
        try? inNamespace { interface throws(BPFError) in
            mode = try XDP.attached(to: interface).first { isOurs($0) }?.mode
        }
        return mode
    }

    private func inNamespace(_ body: (Int) throws(BPFError) -> Void) throws(APIErrorBody) {
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

    private func isOurs(_ attached: XDP.Attached) -> Bool {
        (try? BPFProgram.pinned(at: directory.root).id) == attached.programID
    }

    private func refusal(_ foreign: XDP.Attached) -> BPFError {
        BPFError(
            "attach", "\(hook)",
            cause: "the interface already runs \(Self.describe(foreign)); remove it, or pass --replace")
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
        let causes = [remedy ?? error.cause] + done.map { "\($0); the hook is bare now" }
        let cause = causes.compactMap(\.self).joined(separator: "; ")
        return BPFError("attach", "\(hook) (\(mode))", cause: cause.isEmpty ? nil : cause, errno: error.errno)
    }

    /// `program "xdp_filter" (#158, native)`; the name only where it may be looked up.
    private static func describe(_ foreign: XDP.Attached) -> String {
        let name: String? =
            if let program = BPFProgram.withID(foreign.programID) { program.name } else { nil }
        return "program \(name.map { "\"\($0)\" " } ?? "")(#\(foreign.programID), \(foreign.mode))"
    }

    private static func remove(_ foreign: XDP.Attached, from interface: Int) throws(BPFError) {
        if let link = try BPFLink.find(program: foreign.programID, interface: interface) {
            try link.detach()
        } else {
            try XDP.remove(foreign, from: interface)
        }
    }
}
