// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
internal import Logging
internal import SluiceAPI

extension Manager {
    /// Reads what runs from the kernel, finishes or discards what a crash left half done, and says so. Rebuilds chains
    /// that are wanted but not in the kernel, as after a reboot. Then starts the `run` work of live stages.
    public func start() async {
        var course = opening
        do {
            try await exclusively {
                let boot = try Boot.id()
                isNewBoot = try store.lastBoot() != boot
                for hook in try knownHooks() {
                    recover(hook)
                    finishChange(of: hook)
                }
                course.lap("leftovers")
                checkUp()
                isNewBoot = false
                try store.setLastBoot(boot)
                course.lap("chains")
                let removed = try collectArtifacts()
                if !removed.isEmpty {
                    recovered(nil, "removed what no generation needs: \(removed.joined(separator: ", "))")
                }
                course.lap("artifacts")
                plugins.runner.sweep()
                updateRuns()
                course.lap("plugins")
            }
            logger.info("recovered: \(course.course)")
        } catch {
            logger.error("recovery failed", metadata: ["error": "\(error)"])
        }
    }

    /// The hooks that have a folder in the bpffs or a record in the database.
    func knownHooks() throws -> [HookID] {
        let pinned = try Bpffs.list(configuration.bpffs).compactMap { HookID(directoryName: $0) }
        let recorded = try store.chains().compactMap { try? HookID(parsing: $0.hook) }
        return Set(pinned + recorded).sorted { $0.description < $1.description }
    }

    /// Removes the artifacts that no generation needs, neither by the records nor by what is pinned: a lost database
    /// must not take along what its backup speaks of.
    func collectArtifacts() throws -> [String] {
        guard let needed = try artifactsNeeded() else { return [] }
        return try artifacts.collect(inUse: needed)
    }

    /// Nil when a damaged generation does not say what it was built from.
    func artifactsNeeded() throws -> Set<String>? {
        var needed = try store.artifactsInUse()
        for directory in try knownHooks().map({ directory($0) }) {
            for number in try directory.generations() {
                let meta = directory.generation(number).meta
                guard Bpffs.exists(meta) else { return nil }
                needed.formUnion(try Manifest(pinnedAt: meta).stages.map(\.artifact))
            }
        }
        return needed
    }

    /// Brings one hook to rest. A failure is told and leaves the other hooks their turn.
    func recover(_ hook: HookID) {
        do {
            let directory = directory(hook)
            let wanted = try store.isWanted(hook.description)
            if wanted != false { try settleCanary(hook) }
            if directory.exists {
                try removeLeftovers(directory)
                guard try settle(directory, wanted: wanted) else { return }
            } else if wanted != true {
                try settleRecords(hook)
                return
            }
        } catch {
            record(
                "recover", hook.description, outcome: "failed", by: "sluiced",
                "\(APIErrorBody(error, during: "recover \(hook)").message)")
        }
    }

    /// Removes generations half built or half removed.
    private func removeLeftovers(_ directory: HookDirectory) throws {
        for name in try directory.leftovers() {
            try Bpffs.removeTree("\(directory.path)/\(name)")
            let number = Int(name.dropFirst())!
            if name.hasPrefix("t") {
                recovered(
                    directory.hook, "discarded generation \(number), which was not whole when the manager was stopped")
            } else {
                try store.setState(.retired, of: number, directory.hook.description)
                recovered(directory.hook, "finished removing generation \(number)")
            }
        }
    }

    /// Makes the records agree with the kernel. False when the hook has been taken down.
    private func settle(_ directory: HookDirectory, wanted: Bool?) throws -> Bool {
        let hook = directory.hook
        let live = try directory.live()
        let attached = try directory.attachment.isAttached()
        let building = try store.openGenerations(of: hook.description).filter { $0.state == .building }
        let unfinished = building.contains { $0.number == live }
        if wanted != true, !(attached && unfinished) {
            // A first apply that never attached, or a detach that had begun.
            guard wanted != nil || !attached else {
                throw APIErrorBody.conflict(
                    "a chain of Sluice is attached here, but the database has no record of it; restore "
                        + "\(configuration.state)/sluice.db, or remove \(directory.path) to take the chain down")
            }
            let records = try store.openGenerations(of: hook.description)
            // A first apply that had just taken another program's place has never stood in it.
            if !records.contains(where: { $0.state == .live }) { try? directory.attachment.markForRestoring() }
            try removeHook(hook)
            if try store.newestGeneration(of: hook.description) == nil {
                recovered(hook, "discarded a first apply that had not attached its root yet")
            } else {
                recovered(hook, "finished a detach that had begun")
            }
            return false
        }
        directory.attachment.unmarkForRestoring()
        try settleLeaving(directory, live: unfinished ? live : nil)
        if let live, unfinished {
            try store.setLive(live, of: hook.description)
            recovered(
                hook,
                "generation \(live) is live: the change had flipped to it before the manager was stopped; its record is finished"
            )
        } else if let live, let stored = try store.generation(live, of: hook.description), stored.state != .live {
            try store.setLive(live, of: hook.description)
            recovered(
                hook,
                "generation \(live) is live: the rollback to it had been done before the manager was stopped; its record is finished"
            )
        }
        for generation in building where generation.number != live {
            if Bpffs.exists(directory.generation(generation.number).path) {
                waitForPacketsInFlight()
                try directory.remove(generation.number)
            }
            try store.forget(generation.number, of: hook.description)
            recovered(hook, "discarded generation \(generation.number), which was built but never went live")
        }
        let state = try collectState(directory)
        if !state.isEmpty { recovered(hook, "removed state that no generation uses: \(state.joined(separator: ", "))") }
        if let live {
            let merged = mergeStateOrTell(into: live, of: hook, by: "sluiced")
            if !merged.isEmpty { recovered(hook, merged.joined(separator: "; ")) }
        }
        return true
    }

    /// Finishes what an adoption had begun with the program that it stands in for, behind the root.
    private func settleLeaving(_ directory: HookDirectory, live: Int?) throws {
        guard let displacing = directory.attachment as? any DisplacingHook, !displacing.leaving.isEmpty else { return }
        let stored = try live.flatMap { try store.generation($0, of: directory.hook.description) }
        if let stored, try !displacing.isAttached() {
            _ = try displacing.attach(mode: stored.resolved.spec.mode, replace: false)
        }
        try displacing.settleLeaving(tookOver: stored != nil)
    }

    /// Records of a first apply that had not reached the kernel, or of a detach that had left it.
    private func settleRecords(_ hook: HookID) throws {
        for generation in try endRecords(of: hook) {
            recovered(
                hook,
                generation.state == .building
                    ? "discarded generation \(generation.number), which was only recorded when the manager was stopped"
                    : "finished a detach that had begun: generation \(generation.number) is history")
        }
    }

    private func recovered(_ hook: HookID?, _ message: String) {
        record("recover", hook?.description, outcome: "done", by: "sluiced", message)
    }
}
