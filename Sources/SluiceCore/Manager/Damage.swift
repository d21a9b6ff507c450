// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// Something of a wanted chain that is not in the kernel as it should be.
enum Damage: Hashable {
    /// The root, its slot or its counters are not pinned, or something else than the root is attached.
    case root([String])
    /// A canary whose splitter or one of whose generations is not as it was made.
    case canary([String])
    /// The pin of a state map has gone. Programs still hold the map.
    case state(generation: Int, stage: Int, map: String, path: String)
    /// A generation's pins or its program array are not as they were built.
    case generation(Int, [String], isLive: Bool)
    /// `entry[0]` is empty, or holds a program that is of no generation.
    case slot(Int)
    /// Generations that the records say are kept, but that have no pin any more.
    case kept([Int])
    /// The root is attached, but its link is not pinned.
    case link
    /// The root is not where it belongs, and could be.
    case place(RootSurvey, HookKind.Place)

    var message: String {
        switch self {
        case .canary(let what): "what the canary needs is damaged: \(what.joined(separator: ", "))"
        case .root(let what): "the root is damaged: \(what.joined(separator: ", "))"
        case .state(_, let stage, let map, _): "state map \"\(map)\" of stage \(stage) has lost its pin"
        case .generation(let number, let what, _):
            "generation \(number) is damaged: \(what.joined(separator: ", "))"
        case .slot(let number):
            "the root's slot does not hold generation \(number), which the records say is live"
        case .kept(let numbers):
            "\(numbers.map { "generation \($0)" }.joined(separator: ", ")): not in the kernel any more"
        case .link: "the root is attached, but its link is not pinned: it goes when whoever holds the link does"
        case .place(let survey, let place):
            switch (survey.place, survey.target) {
            case (.strayed, _) where place == .cgroup: "the root is on a cgroup that has gone, or is another unit's now"
            case (.strayed, _): "the root's interface is in another network namespace now"
            case (.renamed(let name, _), _): "the root is on \"\(name)\", which had the interface's name before"
            case (_, .taken): "the root is not attached: another program is on the interface"
            case (_, .unseen): "the root is not attached, and its network namespace may not be entered"
            default: "the root is not attached to its \(place == .cgroup ? "cgroup" : "interface")"
            }
        }
    }
}

extension Damage {
    /// What mends it, if the check-up of each minute does not.
    var remedy: String {
        switch self {
        case .place(let survey, _) where survey.target != .present:
            "take the other program off, take its place (`sluicectl apply --replace`), or `sluicectl adopt` it"
        case .state, .link: "restart sluiced with CAP_SYS_ADMIN, or apply the spec with a change"
        default: "`sluicectl doctor --repair`; so does the check-up of each minute"
        }
    }
}

extension Manager {
    /// Holds a wanted chain against the kernel: all that is damaged, in the order in which it can be mended. Changes
    /// nothing. A chain that only waits for its place is not damaged.
    func inspect(_ hook: HookID) throws -> [Damage] {
        let directory = directory(hook)
        let records = try store.openGenerations(of: hook.description)
        guard try store.isWanted(hook.description) == true,
            let wanted = records.first(where: { $0.state == .live })
        else { return [] }
        let attachment = directory.attachment
        var damage: [Damage] = []
        let root = try attachment.rootDamage()
        if !root.isEmpty { damage.append(.root(root)) }
        let canary = try canaryDamage(directory)
        if !canary.isEmpty { damage.append(.canary(canary)) }
        let live = try directory.live()
        let pinned = Set(try directory.generations())
        var unpinned: Set<String> = []
        for number in pinned.union([live ?? wanted.number]).sorted() {
            let generation = directory.generation(number)
            if let manifest = try? Manifest(pinnedAt: generation.meta) {
                for (index, stage) in manifest.stages.enumerated() {
                    for (map, schema) in stage.state.sorted(by: { $0.key < $1.key }) {
                        let path = directory.state(stage: stage.name, map: map, schema: schema)
                        guard !Bpffs.exists(path), unpinned.insert(path).inserted else { continue }
                        damage.append(.state(generation: number, stage: index + 1, map: map, path: path))
                    }
                }
            }
            let faults = try generation.damage()
            if !faults.isEmpty {
                damage.append(.generation(number, faults, isLive: number == live ?? wanted.number))
            }
        }
        if live == nil { damage.append(.slot(wanted.number)) }
        let lost = records.filter { $0.state == .kept && !pinned.contains($0.number) }.map(\.number)
        if !lost.isEmpty { damage.append(.kept(lost.sorted())) }
        let survey = try attachment.survey()
        if case .unpinned = survey.place { damage.append(.link) }
        if !survey.isInPlace, !survey.isWaiting { damage.append(.place(survey, hook.kind.place)) }
        return damage
    }
}

extension Manager {
    /// What keeps the canary on a hook from being one; empty when there is none.
    private func canaryDamage(_ directory: HookDirectory) throws -> [String] {
        guard let traffic = try directory.traffic(), let candidate = traffic.candidate else { return [] }
        let splitter = directory.canary.isWhole() ? [] : ["the splitter's pins or slots have gone"]
        return try splitter
            + [traffic.live, candidate].flatMap { number in
                try directory.generation(number).damage().map { "generation \(number): \($0)" }
            }
    }
}

extension GenerationDirectory {
    /// What is not as it was built: missing pins, and a program array that is not what it was. (It empties itself when
    /// its last pin goes, frozen or not.)
    func damage() throws -> [String] {
        guard Bpffs.exists(path) else { return ["its pins have gone"] }
        guard let manifest = try? Manifest(pinnedAt: meta) else { return ["its manifest has gone"] }
        let lost = manifest.pins.filter { !Bpffs.exists("\(path)/\($0)") }
        guard lost.isEmpty else { return lost.map { "the pin \"\($0)\" has gone" } }
        let array = try BPFMap.pinned(at: chain)
        let owner = try BPFMap.pinned(at: meta).id
        return try manifest.stages.enumerated().compactMap { index, stage in
            let program = try BPFProgram.pinned(at: self.stage(index + 1))
            guard try program.mapIDs().contains(owner) else {
                return "another program is pinned as stage \"\(stage.name)\""
            }
            let slot = try array.lookup(key: bytes(of: UInt32(index + 1)))
            return slot == bytes(of: program.id) ? nil : "stage \"\(stage.name)\" is not in the program array"
        }
    }
}
