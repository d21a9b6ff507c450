// SPDX-License-Identifier: Apache-2.0

internal import BPF

/// One hook's folder in the bpffs: `root`, `link`, `entry` and `fallback` for good, a folder a generation
/// (`t<n>` while it is built, `g<n>` when whole, `d<n>` while it goes), `canary` while one is on, and `state/` that
/// outlives generations.
struct HookDirectory {
    let hook: HookID
    let path: String

    init(_ hook: HookID, in bpffs: String) {
        self.hook = hook
        self.path = "\(bpffs)/\(hook.directoryName)"
    }

    /// A folder elsewhere that is laid out in the same way.
    init(_ hook: HookID, path: String) {
        self.hook = hook
        self.path = path
    }

    /// The folder that all hooks have theirs in.
    var parent: String { String(path.dropLast(hook.directoryName.utf8.count + 1)) }

    /// Another hook's folder there.
    func neighbour(_ hook: HookID) -> HookDirectory { HookDirectory(hook, in: parent) }

    var root: String { "\(path)/root" }
    var link: String { "\(path)/link" }
    var entry: String { "\(path)/entry" }
    /// Counts the packets that fell through the root.
    var fallback: String { "\(path)/fallback" }
    /// A program of others that was taken off the hook; `leaving` while it is to be, `restoring` when it is to go back.
    func foreign(_ program: ForeignProgram) -> String { "\(path)/foreign_\(program.name)" }
    func leaving(_ program: ForeignProgram) -> String { "\(path)/leaving_\(program.name)" }
    func restoring(_ program: ForeignProgram) -> String { "\(path)/restore_\(program.name)" }

    var canary: CanaryDirectory { CanaryDirectory(path: "\(path)/canary") }

    func building(_ number: Int) -> GenerationDirectory { GenerationDirectory(hook: self, name: "t\(number)") }
    func generation(_ number: Int) -> GenerationDirectory { GenerationDirectory(hook: self, name: "g\(number)") }
    func dying(_ number: Int) -> GenerationDirectory { GenerationDirectory(hook: self, name: "d\(number)") }

    func state(stage: String, map: String, schema: String) -> String { "\(path)/state/\(stage)/\(map)_\(schema)" }

    var exists: Bool { Bpffs.exists(path) }

    /// The whole generations, oldest first.
    func generations() throws -> [Int] {
        try Bpffs.list(path).compactMap { $0.hasPrefix("g") ? Int($0.dropFirst()) : nil }.sorted()
    }

    /// What a crash left: generations half built or half removed.
    func leftovers() throws -> [String] {
        try Bpffs.list(path).filter { name in "td".contains(name.prefix(1)) && Int(name.dropFirst()) != nil }
    }

    /// Where `entry[0]` sends packets.
    struct Traffic: Equatable {
        /// The generation that has the traffic; while a canary is on, the stable one.
        var live: Int
        /// The generation that is tried on a share of the flows.
        var candidate: Int?
    }

    /// What `entry[0]` points to, by its program's id; nil when the slot is empty or holds a stranger.
    func traffic() throws -> Traffic? {
        guard Bpffs.exists(entry),
            let slot = try BPFMap.pinned(at: entry).lookup(key: bytes(of: UInt32(0)))
        else { return nil }
        let id = slot.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
        if try canary.isSplitter(id) {
            // Without its manifest nobody knows whose the splitter is: a stranger.
            guard Bpffs.exists(canary.meta) else { return nil }
            let manifest = try canary.manifest()
            return Traffic(live: manifest.stable, candidate: manifest.candidate)
        }
        let live = try generations().last { number in
            do throws(BPFError) {
                return try BPFProgram.pinned(at: generation(number).stage(1)).id == id
            } catch {
                // Any other failure says nothing about the slot, and who takes it for empty builds the chain anew.
                guard error.errno == .noEntry else { throw error }
                return false
            }
        }
        return live.map { Traffic(live: $0) }
    }

    /// The generation that has the traffic; while a canary is on, the stable one. Nil when `entry[0]` is empty or holds
    /// a stranger.
    func live() throws -> Int? { try traffic()?.live }

    /// Moves the traffic to a generation: the one write to `entry[0]`. Needs no capability, only the pins (Linux 6.1).
    func flip(to number: Int) throws(BPFError) { try send(to: generation(number).stage(1)) }

    /// Moves the traffic to the splitter that stands ready, in the same way.
    func split() throws(BPFError) { try send(to: canary.splitter) }

    private func send(to pin: String) throws(BPFError) {
        let head = try BPFProgram.pinned(at: pin)
        try BPFMap.pinned(at: entry).update(key: bytes(of: UInt32(0)), value: bytes(of: head.fd.raw))
    }

    /// Removes a generation's pins, in an order that a crash at any step leaves recoverable: renamed first, so that it
    /// is no generation any more, then its pins. Only after `waitForPacketsInFlight()`: a program array empties itself
    /// when its last pin goes, though packets are still in it.
    func remove(_ number: Int) throws {
        try Bpffs.rename(generation(number).path, to: dying(number).path)
        FaultPoint.retireRenamed.hit()
        try Bpffs.removeTree(dying(number).path) { FaultPoint.retirePartlyRemoved.hit() }
        FaultPoint.retireRemoved.hit()
    }

    /// Pins a state map again that only programs still hold.
    func repinState(_ name: String, of program: String, at path: String) throws {
        let ids = try BPFProgram.pinned(at: program).mapIDs()
        // The kernel keeps 15 characters of a name.
        let alike = ids.filter { id in
            guard let map = BPFMap.withID(id) else { return false }
            return map.name == String(name.prefix(15))
        }
        guard alike.count == 1, let map = BPFMap.withID(alike.first!) else {
            throw BPFError(
                "find", "map \"\(name)\"",
                cause: "it must be looked up by its id, which needs CAP_SYS_ADMIN (netns.conf.example in the "
                    + "documentation's folder); without, the next generation starts it empty")
        }
        let folder = path.prefix(upTo: path.lastIndex(of: "/")!)
        for folder in [folder.prefix(upTo: folder.lastIndex(of: "/")!), folder] {
            try Bpffs.makeFolder(String(folder))
        }
        try map.pin(at: path)
    }

    /// Removes state that none of the hook's generations uses; says what.
    func collectState() throws -> [String] {
        let unused = try unusedState()
        for pin in unused { try Pin.remove(pin) }
        for stage in try Bpffs.list("\(path)/state") where try Bpffs.list("\(path)/state/\(stage)").isEmpty {
            try Bpffs.removeTree("\(path)/state/\(stage)")
        }
        return unused
    }

    /// The pins of state that none of the hook's generations uses.
    func unusedState() throws -> [String] {
        var used: Set<String> = []
        for number in try generations() {
            // A damaged generation does not say what it uses.
            guard Bpffs.exists(generation(number).meta) else { return [] }
            for stage in try Manifest(pinnedAt: generation(number).meta).stages {
                used.formUnion(stage.state.map { state(stage: stage.name, map: $0.key, schema: $0.value) })
                // What is merged once is held by the merge program until it has run.
                used.formUnion(
                    stage.before.values.filter { !$0.merges }.map {
                        state(stage: stage.name, map: $0.map, schema: $0.schema)
                    })
            }
        }
        return try Bpffs.list("\(path)/state").flatMap { stage in
            try Bpffs.list("\(path)/state/\(stage)").map { "\(path)/state/\(stage)/\($0)" }
        }.filter { !used.contains($0) }
    }
}

/// One generation's folder.
struct GenerationDirectory {
    let path: String

    init(hook: HookDirectory, name: String) {
        self.path = "\(hook.path)/\(name)"
    }

    /// Its own program array, filled and frozen before the flip.
    var chain: String { "\(path)/chain" }
    var meta: String { "\(path)/meta" }
    /// The program of stage `k`, from 1 on, in slot `k` of the array.
    func stage(_ k: Int) -> String { "\(path)/stage_\(k)" }
    /// A map of stage `k` that belongs to the generation; `.bss` and the like are global variables. A bpffs takes no dot
    /// in a name, and no name in C has a percent sign.
    func map(_ k: Int, _ name: String) -> String {
        "\(path)/map_\(k)_\(name.split(separator: ".", omittingEmptySubsequences: false).joined(separator: "%2E"))"
    }
    /// A program of stage `k` that has an old state map yet to merge; gone when it has.
    func merge(_ k: Int, _ name: String) -> String { "\(path)/merge_\(k)_\(name)" }
}
