// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// What an operator writes under `config:` of version 1.0, and of 1.1 but for `prefix-limit`.
public struct Configuration: Codable, Sendable, Equatable {
    /// Sources that nothing is done to.
    public var allow: [IPPrefix]
    /// Of each source address; nil for no limit.
    public var limit: Limit?
    /// Drops nothing, counts what it would have dropped.
    public var dryRun: Bool
    /// What becomes of frames that are no packet an IP stack would take.
    public var malformed: Malformed
    /// In order; the first that matches drops the packet.
    public var rules: [Rule]

    public enum Malformed: String, Codable, Sendable, CaseIterable {
        case drop, pass
    }

    public init(
        allow: [IPPrefix] = [], limit: Limit? = nil, dryRun: Bool = false, malformed: Malformed = .drop,
        rules: [Rule] = []
    ) {
        self.allow = allow
        self.limit = limit
        self.dryRun = dryRun
        self.malformed = malformed
        self.rules = rules
    }

    private enum CodingKeys: String, CodingKey {
        case allow, limit, malformed, rules
        case dryRun = "dry-run"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        allow = try container.decodeIfPresent([IPPrefix].self, forKey: .allow) ?? []
        limit = try container.decodeIfPresent(Limit.self, forKey: .limit)
        dryRun = try container.decodeIfPresent(Bool.self, forKey: .dryRun) ?? false
        malformed = try container.decodeIfPresent(Malformed.self, forKey: .malformed) ?? .drop
        rules = try container.decodeIfPresent([Rule].self, forKey: .rules) ?? []
    }
}

/// What an operator writes under `config:` of version 1.1.
public struct Configuration1_1: Codable, Sendable, Equatable {
    public var base: Configuration
    /// Of each source prefix; nil for no limit.
    public var prefixLimit: PrefixLimit?

    public init(_ base: Configuration = Configuration(), prefixLimit: PrefixLimit? = nil) {
        self.base = base
        self.prefixLimit = prefixLimit
    }

    private enum CodingKeys: String, CodingKey {
        case prefixLimit = "prefix-limit"
    }

    public init(from decoder: any Decoder) throws {
        base = try Configuration(from: decoder)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        prefixLimit = try container.decodeIfPresent(PrefixLimit.self, forKey: .prefixLimit)
    }

    public func encode(to encoder: any Encoder) throws {
        try base.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(prefixLimit, forKey: .prefixLimit)
    }
}
