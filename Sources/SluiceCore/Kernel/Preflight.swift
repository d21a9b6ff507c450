// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// Runs every stage's sample packets through the built chain, in the kernel, before it may go live.
///
/// A sample starts at its own stage and walks on through the chain behind it. One that expects `next` must fare exactly as
/// if it had started at the stage after it.
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
                let got = try program.testRun(packet: sample.packet.raw).returnValue
                let expected = try expected(of: sample, at: index)
                guard got == expected else {
                    throw APIErrorBody(
                        code: "preflight-failed",
                        message: "preflight of stage \"\(stage.name)\" (\(stage.plugin) \(stage.version)): the sample "
                            + "\"\(sample.name)\" must give \(sample.expect.rawValue) but gave \(Self.name(got)); "
                            + "nothing was changed; the plugin's plan or its program is wrong")
                }
            }
            try directory.clearCounters(index + 1, of: stage)
        }
        // Samples that went on have counted in later stages too.
        for (index, stage) in chain.stages.enumerated() { try directory.clearCounters(index + 1, of: stage) }
        return count
    }

    private func expected(of sample: Sample, at index: Int) throws -> UInt32 {
        guard sample.expect == .next else { return UInt32(CounterRow.names.firstIndex(of: sample.expect.rawValue)!) }
        guard index + 1 < chain.stages.count else { return 2 }  // XDP_PASS: the hook's "go on"
        return try BPFProgram.pinned(at: directory.stage(index + 2)).testRun(packet: sample.packet.raw).returnValue
    }

    static func name(_ verdict: UInt32) -> String {
        verdict <= 4 ? CounterRow.names[Int(verdict)] : "the number \(verdict)"
    }
}
