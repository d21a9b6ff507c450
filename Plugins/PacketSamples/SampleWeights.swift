// SPDX-License-Identifier: Apache-2.0

/// How many packets a sample stands for: those that its CPU judged since its last sample.
public struct SampleWeights: Sendable {
    /// Twice the widest gap between samples that the program makes (`SLUICE_SAMPLE_GAP_MAX`). Beyond that records were lost,
    /// and one sample must not speak for all of those.
    public static let maximum: UInt64 = 1 << 21

    private var seen: [UInt32: UInt64] = [:]

    public init() {}

    /// The first sample of a CPU stands for itself only, as does the first of a program that counts anew.
    /// - Parameter count: Packets that the CPU has judged so far, as its sample says.
    public mutating func weight(cpu: UInt32, seen count: UInt64) -> Double {
        defer { seen[cpu] = count }
        guard let last = seen[cpu], last < count else { return 1 }
        return Double(min(count - last, Self.maximum))
    }
}
