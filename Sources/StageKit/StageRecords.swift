// SPDX-License-Identifier: Apache-2.0

/// What came from the ring buffer that the plan names, in the order in which the programs put it there.
public struct StageRecords: Sendable, Equatable {
    /// The map's C name.
    public var ring: String
    /// The generation whose ring it is; each has its own, and its own other maps.
    public var generation: Int
    /// As the program wrote them.
    public var records: [Bytes]
    /// How many were thrown away since the last ones, because the plugin was behind. What the program could not put into
    /// a full ring is not among them.
    public var lost: Int

    public init(ring: String, generation: Int, records: [Bytes], lost: Int = 0) {
        self.ring = ring
        self.generation = generation
        self.records = records
        self.lost = lost
    }
}
