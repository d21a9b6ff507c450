// SPDX-License-Identifier: Apache-2.0

public import PacketSamples
public import StageKit

/// What an operator writes under `config:` of version 1.1: what 1.0 has, and samples.
public struct Configuration1_1: Codable, Sendable, Equatable {
    public var base: Configuration
    /// Nil for none.
    public var sampling: Sampling?

    public init(_ base: Configuration = Configuration(), sampling: Sampling? = nil) {
        self.base = base
        self.sampling = sampling
    }

    private enum CodingKeys: String, CodingKey {
        case sampling = "sample"
    }

    public init(from decoder: any Decoder) throws {
        base = try Configuration(from: decoder)
        sampling = try decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(Sampling.self, forKey: .sampling)
    }

    public func encode(to encoder: any Encoder) throws {
        try base.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(sampling, forKey: .sampling)
    }

    /// What the manager loads.
    /// - Throws: ``StageError`` for what cannot work.
    public func plan() throws(StageError) -> StagePlan {
        var plan = try base.plan()
        guard let sampling else {
            // Nobody writes into it.
            plan.maps["samples"] = MapPlan(maxEntries: 1 << 16)
            return plan
        }
        plan.ring = "samples"
        plan.runs = true
        plan.constants["sample_interval"] = .integer(Int64(sampling.interval))
        plan.summary.append("sample up to \(sampling.packetsPerSecond) packets a second of each CPU")
        return plan
    }
}
