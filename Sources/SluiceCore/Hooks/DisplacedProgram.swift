// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI

/// What `--replace` took off the interface: kept by a pin whose name says in which mode it ran.
///
/// `foreign_<mode>` is kept for a `detach --restore`; from then on it is called `restore_<mode>`, so that a teardown that
/// was broken off is finished the way it was asked for.
extension XDPHook {
    /// The modes of what was displaced.
    var displaced: [XDPMode] { XDPMode.allCases.filter { Bpffs.exists(directory.foreign($0)) } }

    /// Why a foreign program cannot be replaced; nil when it can.
    func obstacle(to replacing: XDP.Attached, on interface: Int) -> BPFError? {
        let what = Self.describe(replacing)
        if let owner = owner(of: replacing.programID) {
            return BPFError("replace", "\(what) on \(hook)", cause: "it is the root of \(owner); detach that first")
        }
        let isLinked =
            switch Result(catching: { try BPFLink.find(program: replacing.programID, interface: interface) == nil }) {
            case .success(let isAlone): !isAlone
            case .failure: true
            }
        if isLinked {
            let holders = BPFLink.holders(of: replacing.programID)
            return BPFError(
                "replace", "\(what) on \(hook)",
                cause: "it is attached by a link, which only its owner can end: "
                    + (holders.isEmpty ? "see `bpftool link`" : holders.joined(separator: ", ")))
        }
        guard BPFProgram.withID(replacing.programID) == nil else { return nil }
        return BPFError(
            "replace", "\(what) on \(hook)",
            cause: "to keep it for a `detach --restore`, it must be looked up by its id, which needs CAP_SYS_ADMIN "
                + "(netns.conf.example in the documentation's folder); or take it off yourself, for good: "
                + "ip link set dev \(hook.interface) xdp off")
    }

    /// Takes a foreign program off the interface and keeps a pin of it.
    func displace(_ foreign: XDP.Attached, from interface: Int) throws(BPFError) {
        if let obstacle = obstacle(to: foreign, on: interface) { throw obstacle }
        guard let program = BPFProgram.withID(foreign.programID) else { return }
        try program.pin(inPlaceOf: directory.foreign(foreign.mode))
        FaultPoint.foreignPinned.hit()
        try XDP.remove(foreign, from: interface)
        FaultPoint.foreignRemoved.hit()
    }

    /// Marks what was displaced for being attached again when the hook is taken down.
    /// - Throws: when nothing was displaced, or there is no interface to put it on.
    func markForRestoring() throws {
        guard !displaced.isEmpty else {
            throw APIErrorBody.notFound("\(hook): no program was replaced here, so there is none to restore")
        }
        try checkPlace()
        for mode in displaced { try Bpffs.rename(directory.foreign(mode), to: directory.restoring(mode)) }
        FaultPoint.restoreMarked.hit()
    }

    /// Takes the mark away again.
    func unmarkForRestoring() {
        for mode in XDPMode.allCases where Bpffs.exists(directory.restoring(mode)) {
            try? Bpffs.rename(directory.restoring(mode), to: directory.foreign(mode))
        }
    }

    /// Lets go of what was displaced. Says of what.
    func forgetDisplaced() throws(BPFError) -> [String] {
        unmarkForRestoring()
        return try displaced.map { mode throws(BPFError) in
            let name = try BPFProgram.pinned(at: directory.foreign(mode)).name
            try Pin.remove(directory.foreign(mode))
            return "program \"\(name)\", which was replaced here, is not put back and forgotten"
        }
    }

    /// Attaches again what is marked for it, where the root is not any more.
    func restore() throws(APIErrorBody) -> [String] {
        var lines: [String] = []
        for mode in XDPMode.allCases where Bpffs.exists(directory.restoring(mode)) {
            try inNamespace { interface throws(BPFError) in
                let program = try BPFProgram.pinned(at: directory.restoring(mode))
                // A restoring that was broken off may have come as far as that.
                if try !XDP.attached(to: interface).contains(where: { $0.programID == program.id }) {
                    try XDP.attachWithoutLink(program, to: interface, mode: mode)
                }
                FaultPoint.foreignRestored.hit()
                lines.append("program \"\(program.name)\" (#\(program.id), \(mode)) is on the interface again")
            }
        }
        return lines
    }

    func displacedNotes() throws(BPFError) -> [String] {
        try displaced.map { mode throws(BPFError) in
            let name = try BPFProgram.pinned(at: directory.foreign(mode)).name
            return "program \"\(name)\" (\(mode)) was replaced here; `detach --restore` puts it back"
        }
    }
}
