// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
public import SluiceAPI
internal import StageKit

extension Manager {
    /// Makes the foreign program on a hook the first stage of the hook's chain: the same instructions on the same maps,
    /// from another place.
    public func adopt(_ hook: String, _ request: AdoptRequest, by caller: Caller) async throws -> ChangeReport {
        try await exclusively {
            let id = try HookID(parsing: hook)
            return try await audited("adopt", id.description, by: caller) {
                var change = Change("adopt", by: caller.name, message: request.message)
                attend(id)
                try refuseDuringCanary(id)
                let (spec, foreign, takeOver) = try failing("adopt \(id)") { try planTakeOver(of: id, request) }
                var prepared = try await prepare(spec, keepingObjects: true)
                prepared.inherited = [request.stage: takeOver.maps]
                if !type(of: directory(id).attachment).isExclusive { prepared.displaced = foreign }
                prepared.plan.notes += takeOver.notes + othersBefore(foreign, at: id)
                change.lap("plan")
                var done = try commit(prepared, change, replace: true)
                done.lines.append(
                    "stage \"\(request.stage)\" goes on with the program's own maps: "
                        + (takeOver.maps.isEmpty ? "none" : takeOver.maps.keys.sorted().joined(separator: ", ")))
                let stage = prepared.resolved.spec.stages[0]
                done.lines.append("for the spec: \(Self.text(of: stage))")
                if prepared.live == nil, let settings = Self.settings(of: spec, at: id.kind) {
                    done.lines.append("for the chain: \(settings)")
                }
                updateRuns()
                return ChangeReport(chains: [done])
            }
        }
    }

    /// What the chain is to be, and what its new stage goes on with. Changes nothing.
    private func planTakeOver(
        of hook: HookID, _ request: AdoptRequest
    ) throws -> (ChainSpec, ForeignProgram, TakeOver) {
        let directory = directory(hook)
        guard let attachment = directory.attachment as? any DisplacingHook else {
            throw APIErrorBody.refused(
                "a filter is a socket's own, and of the sockets of a group each may have another; apply a spec with the object "
                    + "as a stage, and have who made the socket take its filter off")
        }
        let live = try liveGeneration(of: hook)
        let foreign = try foreign(at: attachment, named: request.program, hasChain: live != nil)
        var source = try ObjectSource(parsing: request.object)
        source.proceedOn = try request.proceedOn.map { text in
            guard let verdict = hook.kind.verdicts.first(where: { $0.rawValue == text }) else {
                throw APIErrorBody.invalidSpec(
                    "proceed-on: \"\(text)\" is none of: \(hook.kind.verdicts.map(\.rawValue).joined(separator: ", "))")
            }
            return verdict
        }
        guard SpecParser.isName(request.stage) else {
            throw APIErrorBody.invalidSpec(
                "stage \"\(request.stage)\": a name has 1 to 32 letters, digits, hyphens and underscores")
        }
        try Self.checkFile(source.path)
        guard let running = BPFProgram.withID(foreign.id) else {
            throw APIErrorBody.conflict("\(foreign.title) has gone meanwhile")
        }
        let takeOver = try TakeOver(of: running, at: hook, as: source, stage: request.stage)
        var spec: ChainSpec
        if let live {
            spec = live.resolved.spec
            guard !spec.stages.contains(where: { $0.name == request.stage }),
                try Bpffs.list("\(directory.path)/state/\(request.stage)").isEmpty
            else {
                throw APIErrorBody.conflict(
                    "\"\(request.stage)\" is already the name of a stage, here or in a generation that is kept; choose another"
                )
            }
        } else {
            spec = ChainSpec(hook: hook, mode: foreign.manner.mode, stages: [])
            if hook.kind == .xdp {
                let declared = try BPFObject(contentsOf: source.path).declarations
                // It has coped without so far.
                if declared.first(where: { $0.name == takeOver.source.program })?.hasFrags != true {
                    spec.frags = false
                }
            }
        }
        spec.stages.insert(StageSpec(name: request.stage, source: .object(takeOver.source)), at: 0)
        guard spec.stages.count <= ChainSpec.maxStages else {
            throw APIErrorBody.refused("the chain has \(ChainSpec.maxStages) stages already, as many as there may be")
        }
        return (spec, foreign, takeOver)
    }

    /// Programs of traffic control end the walk with what they let pass, so of those that stay it matters which come first.
    private func othersBefore(_ foreign: ForeignProgram, at hook: HookID) -> [String] {
        guard let attachment = directory(hook).attachment as? TCHook else { return [] }
        var others: [ForeignProgram] = []
        try? attachment.atPlace { () throws(BPFError) in others = try attachment.others().filter { $0 != foreign } }
        return others.isEmpty
            ? []
            : [
                "\(others.map(\.title).joined(separator: ", ")) may come before the chain, where it came behind what is adopted: "
                    + "what it lets pass by another verdict than TC_ACT_UNSPEC, the chain is not asked about"
            ]
    }

    /// The program of others that is meant, with what stands in the way of taking it off.
    private func foreign(
        at attachment: any DisplacingHook, named name: String?, hasChain: Bool
    ) throws -> ForeignProgram {
        var all: [ForeignProgram] = []
        try attachment.atPlace { () throws(BPFError) in all = try attachment.others() }
        guard !all.isEmpty else {
            throw APIErrorBody.conflict(
                hasChain
                    ? "no other program than the chain's own root is on \(attachment.place); to add a stage, apply a spec with it"
                    : "no program runs there; apply a spec that has the object as a stage")
        }
        let meant = name.map { name in all.filter { Self.isCalled($0, name) } } ?? all
        let list = all.map(\.title).joined(separator: ", ")
        guard let foreign = meant.first else {
            throw APIErrorBody.notFound("no program \"\(name ?? "")\" of others runs there, but \(list)")
        }
        guard meant.count == 1 else {
            throw APIErrorBody.conflict(
                "\(meant.count) programs may be meant: \(list); say which by its id (--program ID)")
        }
        try attachment.atPlace { () throws(BPFError) in
            if let obstacle = attachment.obstacle(to: foreign) { throw obstacle }
            if let why = try attachment.peculiarity(of: foreign) {
                throw BPFError("replace", "\(foreign.title) on \(attachment.hook)", cause: why)
            }
        }
        return foreign
    }

    private static func isCalled(_ foreign: ForeignProgram, _ name: String) -> Bool {
        if let id = UInt32(name) { return foreign.id == id }
        guard let program = BPFProgram.withID(foreign.id) else { return false }
        return program.name == name
    }

    /// What a spec has to say of a chain, besides its stages; nil where it is the default.
    private static func settings(of chain: ChainSpec, at kind: HookKind) -> String? {
        let settings = [
            chain.mode == (AttachMode.choices(at: kind).first ?? .auto) ? nil : "mode: \(chain.mode)",
            kind == .xdp && chain.frags == false ? "frags: false" : nil,
        ].compactMap(\.self)
        return settings.isEmpty ? nil : settings.joined(separator: ", ")
    }

    /// A stage in one line, as a spec may have it: JSON is YAML.
    private static func text(of stage: StageSpec) -> String {
        guard case .object(let source) = stage.source, case .object(var keys) = source.settings else { return "" }
        keys["name"] = .string(stage.name)
        keys["object"] = .string(source.path + (source.program.map { "#\($0)" } ?? ""))
        for empty in ["rodata", "maps"] where keys[empty] == JSON.object(.init()) { keys[empty] = nil }
        return String(decoding: JSON.object(keys).serialized(), as: UTF8.self)
    }
}
