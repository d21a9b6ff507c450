// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import SluiceObjects

/// The root of a hook, of whatever kind: made, pinned and mended.
extension Hook {
    /// Loads the root and pins it, not yet attached. Of what is pinned already, the slot and the counters are kept: a
    /// root made anew goes on where the lost one was.
    func makeRoot(for chain: ResolvedChain) throws {
        try Bpffs.makeFolder(directory.path)
        FaultPoint.rootFolderMade.hit()
        let kind = hook.program(frags: chain.frags)
        let object = try BPFObject(own: .root, for: kind)
        try object.setConstant("sluice_on_fault", to: chain.spec.onFault.number)
        try object.setConstant("sluice_frags", to: chain.frags ? 1 : 0)
        let maps = [("sluice_entry", directory.entry), ("sluice_root_counters", directory.fallback)]
        let missing = maps.filter { !Bpffs.exists($0.1) }
        for (name, path) in maps where Bpffs.exists(path) { try object.map(name)?.reuse(BPFMap.pinned(at: path)) }
        try object.load(program: OwnProgram.root.rawValue, as: kind)
        for (name, path) in missing { try object.loadedMap(name).pin(at: path) }
        FaultPoint.entryPinned.hit()
        try object.program(OwnProgram.root.rawValue).pin(inPlaceOf: directory.root)
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
        return link.isAttached && link.programID != root
    }
}
