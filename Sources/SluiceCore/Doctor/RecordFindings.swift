// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI

extension Manager {
    /// The database by itself, and what lies in the bpffs folder that is nobody's.
    func storeFindings() throws -> [Diagnosis] {
        var found: [Diagnosis] = []
        let faults = try store.faults()
        found.append(
            faults.isEmpty
                ? Diagnosis(.ok, "database", "is whole")
                : Diagnosis(
                    .problem, "database", "is damaged: \(faults.prefix(3).joined(separator: "; "))",
                    remedy: "stop sluiced, restore \(configuration.state)/sluice.db from a backup, start it again"))
        for name in try Bpffs.list(configuration.bpffs) where HookID(directoryName: name) == nil {
            found.append(
                Diagnosis(
                    .note, configuration.bpffs, "\"\(name)\" is not of Sluice's making; it is left alone",
                    remedy: "remove it, if it is yours"))
        }
        return found
    }

    /// What the database says of a hook against what is pinned.
    func recordFindings(_ hook: HookID) throws -> [Diagnosis] {
        let name = hook.description
        let directory = directory(hook)
        let records = try store.generations(of: name)
        let wanted = try store.isWanted(name)
        let live = try directory.live()
        let pinned = try directory.generations()
        var found: [Diagnosis] = []
        if wanted == nil, directory.exists {
            found.append(
                Diagnosis(
                    .problem, name, "pins of a chain are here, but the database knows no such chain",
                    remedy: "restore \(configuration.state)/sluice.db from a backup, or `sluicectl detach \(name)`"))
            return found
        }
        if wanted == false, directory.exists {
            let attached = try directory.attachment.isAttached()
            found.append(
                attached
                    ? Diagnosis(
                        .problem, name, "the chain is recorded as detached, but it is attached and takes the traffic",
                        remedy: "`sluicectl detach \(name)` finishes that, or apply its spec again")
                    : Diagnosis(
                        .problem, name, "the chain is detached, but some of its pins are left", repair: .hook(hook)))
            return found
        }
        for number in pinned {
            let record = records.first { $0.number == number }
            if let record, record.state != .retired {
                found += try manifestFindings(record, hook)
            } else if number == live {
                found.append(
                    Diagnosis(
                        .problem, name,
                        "generation \(number) is live, but the database has no record of it: after a "
                            + "reboot it cannot be built again",
                        remedy:
                            "restore \(configuration.state)/sluice.db from a backup, or detach the hook and apply again"
                    ))
            } else {
                found.append(
                    Diagnosis(
                        .problem, name,
                        record == nil
                            ? "generation \(number) is pinned, but the database has no record of it"
                            : "generation \(number) is pinned, but recorded as retired",
                        remedy: "a backup of the database may know it", repair: .unpin(hook, number)))
            }
        }
        for record in records where record.state == .building && !pinned.contains(record.number) {
            found.append(
                Diagnosis(
                    .problem, name,
                    "generation \(record.number) is recorded as being built, but no change is under way",
                    repair: .hook(hook)))
        }
        let unused = try directory.unusedState()
        if !unused.isEmpty {
            let list = unused.map { $0.dropFirst(directory.path.count + 1) }.joined(separator: ", ")
            found.append(Diagnosis(.note, name, "state that no generation uses: \(list)", repair: .state(hook)))
        }
        for entry in try Bpffs.list(directory.path) where !HookDirectory.isKnown(entry) {
            found.append(
                Diagnosis(
                    .note, name, "\"\(entry)\" in \(directory.path) is not of Sluice's making; it is left alone",
                    remedy: "remove it, if it is yours"))
        }
        return found
    }

    /// What a generation's pins say they are, against its record.
    private func manifestFindings(_ record: StoredGeneration, _ hook: HookID) throws -> [Diagnosis] {
        let pin = directory(hook).generation(record.number).meta
        // A missing one is damage of the generation, told elsewhere.
        guard Bpffs.exists(pin) else { return [] }
        let manifest = try Manifest(pinnedAt: pin)
        let wanted = Manifest(record.resolved, generation: record.number, pins: [])
        let same =
            manifest.hook == wanted.hook && manifest.generation == wanted.generation
            && manifest.stages.map(\.record) == wanted.stages.map(\.record)
            && manifest.stages.map(\.state) == wanted.stages.map(\.state)
        guard !same else { return [] }
        func told(_ manifest: Manifest) -> String {
            manifest.stages.map { "\($0.name) (\($0.record.title), \($0.artifact.prefix(12)))" }.joined(separator: ", ")
        }
        return [
            Diagnosis(
                .problem, hook.description,
                "generation \(record.number) is pinned as [\(told(manifest))], but recorded as [\(told(wanted))]: the "
                    + "database is not the one that this chain was built with",
                remedy:
                    "restore the database that belongs to it, or apply the spec again, which builds a new generation")
        ]
    }
}

extension HookDirectory {
    /// Whether a name in a hook's folder is one that the manager gives.
    static func isKnown(_ name: String) -> Bool {
        ["root", "link", "entry", "fallback", "state", "canary", "members", "sockets"].contains(name)
            || name.hasPrefix("foreign_") || name.hasPrefix("leaving_") || name.hasPrefix("restore_")
            || ("gtd".contains(name.prefix(1)) && Int(name.dropFirst()) != nil)
    }
}
