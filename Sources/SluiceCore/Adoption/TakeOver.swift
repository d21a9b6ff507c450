// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// The kernel's ids of maps that a new stage goes on with: by stage, and by the maps' C names.
typealias InheritedMaps = [String: [String: UInt32]]

/// What the loader of a running program made of its object, so that a stage can go on where the program was.
struct TakeOver {
    /// The object with the program's name, and the constants and sizes that the program was loaded with.
    var source: ObjectSource
    /// The maps that the program uses, by C name; the stage keeps them as its state.
    var maps: [String: UInt32] = [:]
    var notes: [String] = []

    /// Shows that a running program is what an object has, by the kernel's tag of the instructions, and finds its maps.
    /// - Throws: when it is another one, or its maps may not be looked up (`CAP_SYS_ADMIN`).
    init(of running: borrowing BPFProgram, at hook: HookID, as asked: ObjectSource, stage: String) throws {
        source = asked
        let object = try BPFObject(contentsOf: asked.path)
        let program = try AdoptionCheck(stage: stage, source: asked, object: object, kind: hook.kind, frags: false)
            .run()
            .program
        source.program = program
        let found = try Self.maps(of: running)
        for map in object.maps where map.type != .programArray {
            let fit = try found.filter { try map.describes(Self.map($0.id, map.name)) }
            // A map that the program does not use belongs to another program of the object.
            guard let entry = fit.first else { continue }
            guard fit.count == 1 else {
                throw APIErrorBody.refused(
                    "the program uses \(fit.count) maps like \"\(map.name)\", which are to be one")
            }
            maps[map.name] = entry.id
            var settings = ObjectSource.MapSettings()
            if entry.maxEntries != map.maxEntries {
                settings.maxEntries = UInt32(entry.maxEntries)
                try map.setMaxEntries(entry.maxEntries)
            }
            // What asks for a pin of its own, or is marked, is state without being told.
            if !map.pinsItself && !map.isState { settings.state = true }
            if settings != .init() { source.maps[map.name] = settings }
            try map.reuse(Self.map(entry.id, map.name))
        }
        if let constants = found.first(where: { $0.name.hasSuffix(".rodata") }),
            let section = try Self.map(constants.id, constants.name).lookup(key: bytes(of: UInt32(0)))
        {
            for (name, value) in try object.constants(changedIn: section) {
                try object.setConstant(name, value: value)
                source.rodata[name] = JSON(value)
            }
        }
        try Self.check(running, is: program, of: object, as: hook.program(frags: false), at: asked.path)
        if found.contains(where: { $0.name.hasSuffix(".data") || $0.name.hasSuffix(".bss") }) {
            notes.append("the global variables of \"\(program)\" start anew")
        }
        if object.maps.contains(where: { $0.type == .programArray }) {
            notes.append("the program arrays of \"\(program)\" are filled as the object says, not as they were")
        }
    }

    /// A map of a running program, by its id.
    static func map(_ id: UInt32, _ name: String) throws(BPFError) -> BPFMap {
        guard let map = BPFMap.withID(id) else {
            throw BPFError(
                "find", "map \"\(name)\" (#\(id)) of the running program",
                cause:
                    "it has gone, or may not be looked up by its id, which needs CAP_SYS_ADMIN (netns.conf.example in "
                    + "the documentation's folder)")
        }
        return map
    }

    private static func maps(
        of program: borrowing BPFProgram
    ) throws -> [(id: UInt32, name: String, maxEntries: Int)] {
        try program.mapIDs().sorted().map { id in
            let map = try Self.map(id, "?")
            return (id, map.name, map.maxEntries)
        }
    }

    private static func check(
        _ running: borrowing BPFProgram, is program: String, of object: BPFObject, as kind: ProgramKind, at path: String
    ) throws {
        try object.load(program: program, as: kind, companions: object.companions(of: kind))
        let tag = try object.program(program).tag
        guard tag != running.tag else { return }
        let remedy =
            running.name == "xdp_dispatcher"
            ? "it is libxdp's dispatcher, which calls others as its extensions: unload them (xdp-loader unload), and apply "
                + "a spec with their objects as stages"
            : "name the object that it was loaded from, or have another one take its place: `sluicectl apply --replace`"
        throw APIErrorBody.refused(
            "program \"\(running.name)\" (#\(running.id)), which runs there, is not \"\(program)\" of \(path): its "
                + "instructions are others (tag \(running.tag), not \(tag)); \(remedy)")
    }
}
