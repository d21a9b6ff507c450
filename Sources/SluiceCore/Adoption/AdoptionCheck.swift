// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// Makes a plan for an object that has no plugin to make one: what the spec says, held against the object.
struct AdoptionCheck {
    let stage: String
    let source: ObjectSource
    let object: BPFObject
    let kind: HookKind
    /// Whether the chain takes packets in fragments.
    let frags: Bool

    struct Result {
        var program: String
        var plan: StagePlan
        /// The state maps by C name, with their schema.
        var state: [String: String]
        /// What an operator ought to know of the object.
        var notes: [String]
    }

    /// - Throws: when the object cannot be what the spec asks for, with what it has instead.
    func run() throws -> Result {
        let program = try program()
        let maps = object.maps
        for map in maps {
            // They stand in the paths of pins.
            guard PluginName.isIdentifier(map.name) else {
                throw failure("it has a map \"\(map.name)\", which is not a C name of at most 63 characters")
            }
            guard !map.name.hasPrefix("sluice_") else {
                throw failure(
                    "it has a map \"\(map.name)\": it is a stage written for Sluice, which goes on by itself; "
                        + "install it with its plugin")
            }
        }
        var plan = StagePlan(object: object.name, program: program.name, frags: frags, verdicts: kind.verdicts)
        for (name, value) in source.rodata {
            plan.constants[name] = .bytes(Bytes(try bytes(of: BTFValue(value), for: name)))
        }
        for (name, settings) in source.maps {
            guard let map = maps.first(where: { $0.name == name }) else {
                throw failure("it has no map \"\(name)\"; it has: \(list(maps.map(\.name)))")
            }
            if let entries = settings.maxEntries {
                // Here and not only at load: the size is part of a state map's schema.
                try map.setMaxEntries(Int(entries))
                plan.maps[name] = MapPlan(maxEntries: entries)
            }
            guard settings.state != true || map.type != .programArray else {
                throw failure("the map \"\(name)\" cannot be state: it holds programs, which belong to a generation")
            }
        }
        let shared = maps.filter { map in
            map.type != .programArray && source.maps[map.name]?.state ?? (map.isState || map.pinsItself)
        }
        plan.summary = ["goes on after: \(list(source.proceedOn.map(\.rawValue)))"]
        return Result(
            program: program.name, plan: plan,
            state: Dictionary(
                uniqueKeysWithValues: shared.map { ($0.name, $0.schema(of: "object#\(program.name)")) }),
            notes: notes(maps, shared: Set(shared.map(\.name))))
    }

    private func program() throws -> BPFObject.Declaration {
        let all = object.declarations
        let fit = all.filter { $0.fits(ProgramKind(hook: kind.rawValue)!) }
        let names = list(fit.map(\.name))
        guard let name = source.program else {
            guard fit.count == 1 else {
                throw failure(
                    fit.isEmpty
                        ? "it has no program for \(kind.rawValue); its programs: \(list(all.map { "\($0.name) (\($0.section))" }))"
                        : "it has several programs for \(kind.rawValue); name one behind a #: \(names)")
            }
            return try copesWithFrags(fit[0])
        }
        guard let found = all.first(where: { $0.name == name }) else {
            throw failure("it has no program \"\(name)\"; its programs for \(kind.rawValue): \(names)")
        }
        guard fit.contains(where: { $0.name == name }) else {
            throw failure(
                "its program \"\(name)\" is not for \(kind.rawValue) (section \"\(found.section)\"); its programs for that: \(names)"
            )
        }
        return try copesWithFrags(found)
    }

    private func copesWithFrags(_ program: BPFObject.Declaration) throws -> BPFObject.Declaration {
        guard !frags || program.hasFrags else {
            throw failure(
                "its program \"\(program.name)\" does not cope with packets in fragments (its section is not "
                    + "\"xdp.frags\"), but the chain takes them; set `frags: false` for the chain, which limits the "
                    + "interface's MTU to about 3,500 bytes")
        }
        return program
    }

    private func bytes(of value: BTFValue, for constant: String) throws -> [UInt8] {
        guard let type = object.constantType(constant) else {
            throw failure("it has no constant \"\(constant)\"; it has: \(list(object.constantNames))")
        }
        do {
            return try type.bytes(of: value, at: constant)
        } catch {
            throw failure("rodata: \(error)")
        }
    }

    private func notes(_ maps: [ObjectMap], shared: Set<String>) -> [String] {
        var notes: [String] = []
        let pinned = maps.filter { $0.pinsItself && shared.contains($0.name) }.map(\.name)
        if !pinned.isEmpty {
            notes.append(
                "stage \"\(stage)\": the object asks for pins of \(list(pinned)): kept as state of the stage, shared by its "
                    + "generations, and pinned nowhere else")
        }
        for map in maps where map.type == .programArray {
            notes.append(
                "stage \"\(stage)\": the object may tail-call through its map \"\(map.name)\"; what the program there returns "
                    + "counts as the stage's verdict; slots that the object does not fill itself stay empty")
        }
        return notes
    }

    private func failure(_ message: String) -> APIErrorBody {
        .refused("stage \"\(stage)\": cannot adopt \(source.path): \(message)")
    }

    private func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }
}
