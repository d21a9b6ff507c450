// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Logging
internal import SluiceAPI

extension Manager {
    /// Merges the old state that a generation which has gone live has yet to take over; nothing when there is none.
    ///
    /// Each run of a merge program is one system call, which no signal ends, and the program itself keeps how far it is.
    /// So every entry is merged once, whenever the manager dies, and the next start goes on from there.
    /// - Returns: What was merged, a line a map.
    /// - Throws: when a program cannot be run. What is not merged then is not lost: the program holds the old map.
    func mergeState(into number: Int, of hook: HookID) throws -> [String] {
        let generation = directory(hook).generation(number)
        let names = try Bpffs.list(generation.path).filter { $0.hasPrefix("merge_") }
        guard !names.isEmpty else { return [] }
        // A packet that is still in the old generation may add to the old map.
        waitForPacketsInFlight()
        let stages = try Manifest(pinnedAt: generation.meta).stages
        var lines: [String] = []
        for (index, stage) in stages.enumerated() {
            for (name, old) in stage.before.sorted(by: { $0.key < $1.key }) where old.merges {
                let pin = generation.merge(index + 1, name)
                guard names.contains("merge_\(index + 1)_\(name)") else { continue }
                let done = try failing("stage \"\(stage.name)\": merge state map \"\(old.map)\"") { try merge(pin) }
                FaultPoint.mergeEnded.hit()
                try Pin.remove(pin)
                FaultPoint.mergeUnpinned.hit()
                lines.append(
                    "stage \"\(stage.name)\": state map \"\(old.map)\": merged \(done.merged - done.refused) entries"
                        + (done.refused == 0 ? "" : "; \(done.refused) more found no room and are lost to it"))
            }
        }
        return lines
    }

    /// The same after a flip, when nothing may fail any more: what goes wrong is told.
    func mergeStateOrTell(into number: Int, of hook: HookID, by author: String) -> [String] {
        do {
            return try mergeState(into: number, of: hook)
        } catch {
            let failure = APIErrorBody(error, during: "merge state into generation \(number)").message
            record("merge", hook.description, outcome: "failed", by: author, failure)
            return ["\(failure); what is left is kept, and the next change or start of sluiced goes on with it"]
        }
    }

    /// Runs a merge program until nothing is left.
    private func merge(_ pin: String) throws -> (merged: UInt64, refused: UInt64) {
        let program = try BPFProgram.pinned(at: pin)
        var merged: UInt64 = 0
        while true {
            // A kernel without preemption does nothing else on that processor meanwhile, so runs are short: some
            // milliseconds. As each walks past what is merged already, they grow with that.
            var context = bytes(of: max(4096, merged / 8)) + [UInt8](repeating: 0, count: 24)
            try program.run(context: &context)
            FaultPoint.mergeRunEnded.hit()
            let words = context.withUnsafeBytes { Array($0.bindMemory(to: UInt64.self)) }
            guard words[3] != 0 else { return (words[1], words[2]) }
            merged = words[1]
        }
    }
}
