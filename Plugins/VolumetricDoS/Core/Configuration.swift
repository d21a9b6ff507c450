// SPDX-License-Identifier: Apache-2.0

public import PacketSamples
public import StageKit

/// What an operator writes under `config:` of version 1.0, and of 1.1, which has more besides.
public struct Configuration: Codable, Sendable, Equatable {
    /// Sources that nothing is done to.
    public var allow: [IPPrefix]
    /// Of each source address unless it says otherwise; nil for no limit.
    public var limit: Limit?
    /// How many buckets there are for all limits together; a power of two.
    public var buckets: Int
    /// Drops nothing, counts what it would have dropped.
    public var dryRun: Bool
    /// What becomes of frames that are no packet an IP stack would take.
    public var malformed: Malformed
    /// In order; the first that matches drops the packet.
    public var rules: [Rule]

    public enum Malformed: String, Codable, Sendable, CaseIterable {
        case drop, pass
    }

    public static let standardBuckets = 131_072

    public init(
        allow: [IPPrefix] = [], limit: Limit? = nil, buckets: Int = standardBuckets, dryRun: Bool = false,
        malformed: Malformed = .drop, rules: [Rule] = []
    ) {
        self.allow = allow
        self.limit = limit
        self.buckets = buckets
        self.dryRun = dryRun
        self.malformed = malformed
        self.rules = rules
    }

    private enum CodingKeys: String, CodingKey {
        case allow, limit, buckets, malformed, rules
        case dryRun = "dry-run"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        allow = try container.decodeIfPresent([IPPrefix].self, forKey: .allow) ?? []
        limit = try container.decodeIfPresent(Limit.self, forKey: .limit)
        buckets = try container.decodeIfPresent(Int.self, forKey: .buckets) ?? Self.standardBuckets
        dryRun = try container.decodeIfPresent(Bool.self, forKey: .dryRun) ?? false
        malformed = try container.decodeIfPresent(Malformed.self, forKey: .malformed) ?? .drop
        rules = try container.decodeIfPresent([Rule].self, forKey: .rules) ?? []
    }
}

/// What an operator writes under `config:` of version 1.1.
public struct Configuration1_1: Codable, Sendable, Equatable {
    public var base: Configuration
    /// Besides the one that 1.0 has; each packet must keep all of them.
    public var limits: [Limit]
    /// Samples of packets; nil for none, or as many as ``auto`` needs.
    public var sampling: Sampling?
    /// Finds attacks and rules against them; nil to leave that to the operator.
    public var auto: AutoConfiguration?

    public init(
        _ base: Configuration = Configuration(), limits: [Limit] = [], sampling: Sampling? = nil,
        auto: AutoConfiguration? = nil
    ) {
        self.base = base
        self.limits = limits
        self.sampling = sampling
        self.auto = auto
    }

    private enum CodingKeys: String, CodingKey {
        case limits, auto
        case sampling = "sample"
    }

    public init(from decoder: any Decoder) throws {
        base = try Configuration(from: decoder)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        limits = try container.decodeIfPresent([Limit].self, forKey: .limits) ?? []
        sampling = try container.decodeIfPresent(Sampling.self, forKey: .sampling)
        auto = try container.decodeIfPresent(AutoConfiguration.self, forKey: .auto)
    }

    public func encode(to encoder: any Encoder) throws {
        try base.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(limits, forKey: .limits)
        try container.encodeIfPresent(sampling, forKey: .sampling)
        try container.encodeIfPresent(auto, forKey: .auto)
    }
}
