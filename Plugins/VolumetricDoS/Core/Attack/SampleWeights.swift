// SPDX-License-Identifier: Apache-2.0

/// How many packets a sample stands for: those that its CPU judged since its last sample.
struct SampleWeights {
    /// Twice the widest gap between samples that the program makes (`DOS_SAMPLE_GAP_MAX`). Beyond that records were lost,
    /// and one sample must not speak for all of those.
    static let maximum: UInt64 = 1 << 21

    private var seen: [UInt32: UInt64] = [:]

    /// The first sample of a CPU stands for itself only, as does the first of a program that counts anew.
    mutating func weight(of sample: PacketSample) -> Double {
        defer { seen[sample.cpu] = sample.seen }
        guard let last = seen[sample.cpu], last < sample.seen else { return 1 }
        return Double(min(sample.seen - last, Self.maximum))
    }
}
