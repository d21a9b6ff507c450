// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// What an operator writes under `auto:`: when traffic is an attack, and what is to be done about it.
public struct AutoConfiguration: Codable, Sendable, Equatable {
    /// What passes to one destination address above this is an attack; nil to learn it.
    public var packetsPerSecond: UInt64?
    public var mode: Mode
    /// How long a rule lasts unless the attack goes on, in seconds.
    public var ttl: Int
    /// How many rules there may be at a time.
    public var rules: Int
    /// Over how many seconds of quiet traffic it is learnt what is usual.
    public var learn: Int

    public enum Mode: String, Codable, Sendable, CaseIterable {
        /// Says what it would install.
        case propose
        case install
    }

    /// Of ``packetsPerSecond``.
    public static let rates: ClosedRange<UInt64> = 1...1_000_000_000
    /// A shorter rule could not be renewed in time.
    static let ttls = 10...86400
    static let learns = 10...3600
    /// A live stage has room for 256 rules, some of which are the operator's.
    static let ruleCounts = 1...128

    public init(
        packetsPerSecond: UInt64? = nil, mode: Mode = .propose, ttl: Int = 60, rules: Int = 16, learn: Int = 300
    ) {
        self.packetsPerSecond = packetsPerSecond
        self.mode = mode
        self.ttl = ttl
        self.rules = rules
        self.learn = learn
    }

    private enum CodingKeys: String, CodingKey {
        case mode, ttl, rules, learn
        case packetsPerSecond = "packets-per-second"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            packetsPerSecond: try container.decodeIfPresent(UInt64.self, forKey: .packetsPerSecond),
            mode: try container.decodeIfPresent(Mode.self, forKey: .mode) ?? .propose,
            ttl: try container.decodeIfPresent(TimeSpan.self, forKey: .ttl).map { Int($0.seconds) } ?? 60,
            rules: try container.decodeIfPresent(Int.self, forKey: .rules) ?? 16,
            learn: try container.decodeIfPresent(TimeSpan.self, forKey: .learn).map { Int($0.seconds) } ?? 300)
        if let packetsPerSecond, !Self.rates.contains(packetsPerSecond) {
            throw StageError("\(packetsPerSecond): expected 1 to \(Self.rates.upperBound)", at: "packets-per-second")
        }
        guard Self.ttls.contains(ttl) else {
            throw StageError("\(TimeSpan(seconds: Int64(ttl))): expected 10s to 1d", at: CodingKeys.ttl.rawValue)
        }
        guard Self.ruleCounts.contains(rules) else {
            throw StageError("\(rules): expected 1 to \(Self.ruleCounts.upperBound)", at: CodingKeys.rules.rawValue)
        }
        guard Self.learns.contains(learn) else {
            throw StageError("\(TimeSpan(seconds: Int64(learn))): expected 10s to 1h", at: CodingKeys.learn.rawValue)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(packetsPerSecond, forKey: .packetsPerSecond)
        try container.encode(mode, forKey: .mode)
        try container.encode(TimeSpan(seconds: Int64(ttl)), forKey: .ttl)
        try container.encode(rules, forKey: .rules)
        try container.encode(TimeSpan(seconds: Int64(learn)), forKey: .learn)
    }

    /// In words, for the plan.
    var summary: String {
        let rate = packetsPerSecond.map { "more than \($0) packets a second" } ?? "far more packets than is usual"
        let verb = mode == .install ? "install" : "propose"
        return "\(verb) up to \(rules) rules for \(TimeSpan(seconds: Int64(ttl))) against \(rate) to an address"
    }
}
