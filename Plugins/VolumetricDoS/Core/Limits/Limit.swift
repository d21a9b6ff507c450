// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// A limit of packets or bytes: so many a second, and so many at once after a pause.
public struct Limit: Codable, Sendable, Equatable {
    public enum Unit: Sendable, Equatable {
        case packets, bytes
    }

    /// Who shares a bucket.
    public enum Key: String, Codable, Sendable, CaseIterable {
        /// All packets that the limit is for.
        case all
        case source
        case sourcePrefix = "source-prefix"
        case destination
        case destinationPrefix = "destination-prefix"
        /// Source and destination together.
        case pair
    }

    /// What becomes of a packet that there is no place for in the table of buckets.
    public enum WhenFull: String, Codable, Sendable, CaseIterable {
        case pass, drop
        /// It takes the place of another bucket, whose key begins anew.
        case evict
    }

    public var unit: Unit
    /// Packets or bytes a second.
    public var rate: UInt64
    /// Of bytes, what is left of a bucket lets one packet through, whatever its length.
    public var burst: UInt64
    public var per: Key
    /// Prefix lengths of ``Key/sourcePrefix`` and ``Key/destinationPrefix``.
    public var v4: Int
    public var v6: Int
    public var whenFull: WhenFull
    /// Addresses that have buckets of their own, whatever becomes of the table.
    public var known: [IPAddress]

    /// An interval of 100 ns, which a clock in ns still tells well.
    public static let maximumPackets: UInt64 = 10_000_000
    /// 100 Gbit/s.
    public static let maximumBytes: UInt64 = 12_500_000_000
    public static let maximumKnown = 65_536
    /// Seconds that an empty bucket may take to fill.
    static let longestBurst: UInt64 = 1000

    /// - Parameter burst: A second's worth unless given.
    public init(
        _ unit: Unit, perSecond rate: UInt64, burst: UInt64? = nil, per: Key = .source, whenFull: WhenFull = .pass
    ) {
        self.unit = unit
        self.rate = rate
        self.burst = burst ?? rate
        self.per = per
        self.whenFull = whenFull
        v4 = 24
        v6 = 48
        known = []
    }

    /// Of each source.
    public init(packetsPerSecond: UInt64, burst: UInt64? = nil) {
        self.init(.packets, perSecond: packetsPerSecond, burst: burst)
    }

    private enum CodingKeys: String, CodingKey {
        case per, burst, v4, v6, known
        case packetsPerSecond = "packets-per-second"
        case bytesPerSecond = "bytes-per-second"
        case whenFull = "when-full"
    }

    public init(from decoder: any Decoder) throws {
        try self.init(from: decoder, per: .source)
    }

    /// - Parameter key: Who shares a bucket unless the configuration says.
    init(from decoder: any Decoder, per key: Key) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let packets = try container.decodeIfPresent(UInt64.self, forKey: .packetsPerSecond)
        let bytes = try container.decodeIfPresent(UInt64.self, forKey: .bytesPerSecond)
        let burst = try container.decodeIfPresent(UInt64.self, forKey: .burst)
        let per = try container.decodeIfPresent(Key.self, forKey: .per) ?? key
        switch (packets, bytes) {
        case (let packets?, nil): self.init(.packets, perSecond: packets, burst: burst, per: per)
        case (nil, let bytes?): self.init(.bytes, perSecond: bytes, burst: burst, per: per)
        default: throw StageError("expected either packets-per-second or bytes-per-second")
        }
        whenFull = try container.decodeIfPresent(WhenFull.self, forKey: .whenFull) ?? .pass
        known = try container.decodeIfPresent([Address].self, forKey: .known)?.map(\.address) ?? []
        let (shorter, longer) = (
            try container.decodeIfPresent(Int.self, forKey: .v4), try container.decodeIfPresent(Int.self, forKey: .v6)
        )
        if shorter ?? longer != nil, per != .sourcePrefix, per != .destinationPrefix {
            throw StageError(
                "only source-prefix and destination-prefix have a length; the limit is per \(per.rawValue)",
                at: shorter == nil ? "v6" : "v4")
        }
        v4 = shorter ?? v4
        v6 = longer ?? v6
        try check()
    }

    private func check() throws(StageError) {
        let (key, maximum) =
            unit == .packets ? ("packets-per-second", Self.maximumPackets) : ("bytes-per-second", Self.maximumBytes)
        guard (1...maximum).contains(rate) else { throw StageError("\(rate): expected 1 to \(maximum)", at: key) }
        let most = rate.multipliedReportingOverflow(by: Self.longestBurst).partialValue
        guard (1...most).contains(burst) else {
            throw StageError(
                "\(burst): expected 1 to \(most), which is what comes in \(Self.longestBurst) seconds", at: "burst")
        }
        guard (1...32).contains(v4) else {
            throw StageError("\(v4): a prefix length of IPv4 is here 1 to 32", at: "v4")
        }
        guard (1...128).contains(v6) else {
            throw StageError("\(v6): a prefix length of IPv6 is here 1 to 128", at: "v6")
        }
        guard known.isEmpty || per == .source || per == .destination else {
            throw StageError("only a limit per source or destination can know addresses", at: "known")
        }
        guard known.count <= Self.maximumKnown, Set(known).count == known.count else {
            throw StageError("expected at most \(Self.maximumKnown) addresses, each once", at: "known")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(rate, forKey: unit == .packets ? .packetsPerSecond : .bytesPerSecond)
        try container.encode(burst, forKey: .burst)
        try container.encode(per, forKey: .per)
        if per == .sourcePrefix || per == .destinationPrefix {
            try container.encode(v4, forKey: .v4)
            try container.encode(v6, forKey: .v6)
        }
        try container.encode(whenFull, forKey: .whenFull)
        if !known.isEmpty { try container.encode(known.map(Address.init), forKey: .known) }
    }

    /// What its counters are called: no two limits of a stage are alike in it.
    var label: String {
        let name = "\(per.rawValue) \(unit)"
        return per == .sourcePrefix || per == .destinationPrefix ? "\(name) /\(v4) /\(v6)" : name
    }

    /// Behind "limit".
    var summary: String {
        let whom =
            switch per {
            case .all: "all packets together"
            case .source: "each source address"
            case .sourcePrefix: "each source /\(v4) of IPv4 and /\(v6) of IPv6"
            case .destination: "each destination address"
            case .destinationPrefix: "each destination /\(v4) of IPv4 and /\(v6) of IPv6"
            case .pair: "each pair of source and destination address"
            }
        let full = whenFull == .pass ? "" : "; \(whenFull.rawValue) when the table is full"
        let apart = known.isEmpty ? "" : "; \(known.count) known addresses have buckets of their own"
        return "\(whom) to \(rate) \(unit) a second, \(burst) at once\(full)\(apart)"
    }
}

/// An address as a configuration has it.
private struct Address: Codable {
    let address: IPAddress

    init(_ address: IPAddress) {
        self.address = address
    }

    init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let address = IPAddress(text) else { throw StageError("\"\(text)\": expected an IPv4 or IPv6 address") }
        self.address = address
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(address.description)
    }
}
