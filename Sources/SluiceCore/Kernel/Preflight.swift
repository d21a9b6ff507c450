// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// Runs every stage's sample packets through the chain, in the kernel, before it may go live.
///
/// Packets leave traces: they take tokens of a limit, open connections, are counted. So it is a copy of the chain that
/// they run through, with state and counters of its own, which goes when they are done.
///
/// A sample starts at its own stage and walks on through the chain behind it. What becomes of one that expects `next`
/// there is no matter: that it went on, the stage's own counters say.
struct Preflight {
    let directory: HookDirectory
    let chain: ResolvedChain
    let number: Int
    /// Where a digest's copy of a plugin is.
    let artifact: (String) -> String

    /// How many packets were run.
    func run() throws -> Int {
        let count = chain.stages.map(\.plan.samples.count).reduce(0, +)
        guard count > 0 else { return 0 }
        // In the generation's own folder, so that whoever removes that one removes the copy too.
        let copy = HookDirectory(directory.hook, path: "\(directory.building(number).path)/copy")
        try Bpffs.makeFolder(copy.path)
        try GenerationBuilder(
            directory: copy, chain: chainToTry(), number: number, transfer: [:], artifact: artifact
        ).build()
        FaultPoint.preflightCopyBuilt.hit()
        let built = copy.building(number)
        let kind = directory.hook.kind
        for (index, stage) in chain.stages.enumerated() {
            let program = try BPFProgram.pinned(at: built.stage(index + 1))
            for sample in stage.plan.samples {
                let before = try timesGoneOn(index, in: built)
                let got = try program.testRun(packet: sample.packet.raw).returnValue
                let wentOn = try timesGoneOn(index, in: built) > before
                guard sample.expect == .next ? wentOn : !wentOn && kind.verdict(returned: got) == sample.expect else {
                    throw APIErrorBody(
                        code: "preflight-failed",
                        message: "preflight of stage \"\(stage.name)\" (\(stage.title)): the sample "
                            + "\"\(sample.name)\" must give \(sample.expect.rawValue) but gave "
                            + "\(wentOn ? Verdict.next.rawValue : kind.verdict(returned: got)?.rawValue ?? "the number \(got)"); "
                            + "nothing was changed; the plugin's plan or its program is wrong")
                }
            }
        }
        try Bpffs.removeTree(copy.path)
        return count
    }

    /// The chain as it is, but that it counts, and for hash tables of state: a few entries do for samples, and the
    /// memory for all of them may not be there twice.
    private func chainToTry() throws -> ResolvedChain {
        var chain = chain
        chain.spec.counters = true
        for (index, stage) in chain.stages.enumerated() where !stage.state.isEmpty {
            let object = try BPFObject(contentsOf: "\(artifact(stage.artifact))/\(stage.plan.object)")
            for map in object.maps where stage.state[map.name] != nil && map.type.isHash {
                var plan = stage.plan.maps[map.name] ?? MapPlan()
                plan.maxEntries = min(plan.maxEntries ?? UInt32(map.maxEntries), 4096)
                chain.stages[index].plan.maps[map.name] = plan
            }
        }
        return chain
    }

    /// How many packets the stage has handed to the one behind it, or to the hook.
    private func timesGoneOn(_ index: Int, in built: GenerationDirectory) throws -> UInt64 {
        let verdicts = try built.counters(index + 1).verdicts
        return (verdicts["next"]?.packets ?? 0) - (verdicts["fallthrough"]?.packets ?? 0)
    }
}
