// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// Runs every stage's sample packets through the built chain, in the kernel, before it may go live.
///
/// A sample starts at its own stage and walks on through the chain behind it. One that expects `next` must fare exactly
/// as if it had started at the stage after it.
struct Preflight {
    let directory: GenerationDirectory
    let chain: ResolvedChain

    /// How many packets were run.
    func run() throws -> Int {
        var count = 0
        for (index, stage) in chain.stages.enumerated() {
            let program = try BPFProgram.pinned(at: directory.stage(index + 1))
            for sample in stage.plan.samples {
                count += 1
                var got = try program.testRun(packet: sample.packet.raw).returnValue
                let expected = try expected(of: sample, at: index)
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
        for (index, stage) in chain.stages.enumerated() { try directory.clearCounters(index + 1, of: stage) }
        return count
    }

    private func expected(of sample: Sample, at index: Int) throws -> UInt32 {
        guard sample.expect == .next else { return sample.expect.xdp }
        guard index + 1 < chain.stages.count else { return Verdict.pass.xdp }  // the hook's "go on"
        return try BPFProgram.pinned(at: directory.stage(index + 2)).testRun(packet: sample.packet.raw).returnValue
    }

    private static func name(_ number: UInt32) -> String {
        Verdict(xdp: number)?.rawValue ?? "the number \(number)"
    }
}
