// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// Runs every stage's sample packets through the chain, in the kernel, before it may go live.
///
/// Packets leave traces: they take tokens of a limit, open connections, are counted. So it is a copy of the chain that
/// they run through, with state and counters of its own, which goes when they are done.
///
/// A sample starts at its own stage and walks on through the chain behind it. One that expects `next` must fare exactly
/// as if it had started at the stage after it.
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
            directory: copy, chain: chainWithSmallState(), number: number, transfer: [:], artifact: artifact
        ).build()
        FaultPoint.preflightCopyBuilt.hit()
        let built = copy.building(number)
        for (index, stage) in chain.stages.enumerated() {
            let program = try BPFProgram.pinned(at: built.stage(index + 1))
            for sample in stage.plan.samples {
                var got = try program.testRun(packet: sample.packet.raw).returnValue
                let expected = try expected(of: sample, at: index, in: built)
                if got != expected, sample.expect == .next {
                    // A limit behind may have let the first packet through and stopped the one it is held against.
                    got = try program.testRun(packet: sample.packet.raw).returnValue
                }
                guard got == expected else {
                    throw APIErrorBody(
                        code: "preflight-failed",
                        message: "preflight of stage \"\(stage.name)\" (\(stage.title)): the sample "
                            + "\"\(sample.name)\" must give \(sample.expect.rawValue) but gave \(Self.name(got)); "
                            + "nothing was changed; the plugin's plan or its program is wrong")
                }
            }
        }
        try Bpffs.removeTree(copy.path)
        return count
    }

    /// The chain as it is, but for hash tables of state: a few entries do for samples, and the memory for all of them
    /// may not be there twice.
    private func chainWithSmallState() throws -> ResolvedChain {
        var chain = chain
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

    private func expected(of sample: Sample, at index: Int, in built: GenerationDirectory) throws -> UInt32 {
        guard sample.expect == .next else { return sample.expect.xdp }
        guard index + 1 < chain.stages.count else { return Verdict.pass.xdp }  // the hook's "go on"
        return try BPFProgram.pinned(at: built.stage(index + 2)).testRun(packet: sample.packet.raw).returnValue
    }

    private static func name(_ number: UInt32) -> String {
        Verdict(xdp: number)?.rawValue ?? "the number \(number)"
    }
}
