// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// Destinations with the same limits.
public struct Policy: Codable, Sendable, Equatable {
    /// What its counters are called.
    public var name: String
    /// Addresses and prefixes of them. Of several policies the one with the longest prefix is for an address.
    public var destinations: [IPPrefix]
    /// Of each destination address.
    public var perAddress: Rate?
    /// Of each of ``destinations``, as they are listed.
    public var perPrefix: Rate?
    /// Of each source prefix at each destination address.
    public var perSource: SourceRate?
    public var buckets: Buckets
    public var action: Action
    /// Of ``Action/mark``.
    public var mark: UInt32?

    /// Where the buckets of addresses are.
    public enum Buckets: String, Codable, Sendable, CaseIterable {
        /// Each address has one of its own, which nothing that is sent to others can take from it.
        case own
        /// In the table of all policies, where an address has a place for as long as its bucket is not full.
        case shared
    }

    /// What becomes of a packet over a limit.
    public enum Action: String, Codable, Sendable, CaseIterable {
        case drop
        /// It goes on, marked for the stages behind.
        case mark
        /// It goes on, and is counted.
        case count
    }

    public init(
        name: String, destinations: [IPPrefix], perAddress: Rate? = nil, perPrefix: Rate? = nil,
        perSource: SourceRate? = nil, buckets: Buckets = .own, action: Action = .drop, mark: UInt32? = nil
    ) {
        self.name = name
        self.destinations = destinations
        self.perAddress = perAddress
        self.perPrefix = perPrefix
        self.perSource = perSource
        self.buckets = buckets
        self.action = action
        self.mark = mark
    }

    private enum CodingKeys: String, CodingKey {
        case name, destinations, buckets, action, mark
        case perAddress = "per-address"
        case perPrefix = "per-prefix"
        case perSource = "per-source"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try container.decode(String.self, forKey: .name),
            destinations: try container.decode([IPPrefix].self, forKey: .destinations),
            perAddress: try container.decodeIfPresent(Rate.self, forKey: .perAddress),
            perPrefix: try container.decodeIfPresent(Rate.self, forKey: .perPrefix),
            perSource: try container.decodeIfPresent(SourceRate.self, forKey: .perSource),
            buckets: try container.decodeIfPresent(Buckets.self, forKey: .buckets) ?? .own,
            action: try container.decodeIfPresent(Action.self, forKey: .action) ?? .drop,
            mark: try container.decodeIfPresent(UInt32.self, forKey: .mark))
    }

    /// - Throws: ``StageError`` for what a policy cannot be by itself.
    func check() throws(StageError) {
        guard (1...Self.longestName).contains(name.utf8.count), name.utf8.allSatisfy(Self.isOfNames) else {
            throw StageError(
                "\"\(name)\": expected a name of 1 to \(Self.longestName) letters, digits, hyphens, dots and underscores",
                at: "name")
        }
        guard !destinations.isEmpty else {
            throw StageError("expected addresses or prefixes that the policy is for", at: "destinations")
        }
        guard perAddress != nil || perPrefix != nil || perSource != nil else {
            throw StageError("has no limit; expected per-address, per-prefix or per-source")
        }
        guard (action == .mark) == (mark != nil) else {
            throw mark == nil
                ? StageError("is missing; the action is to mark", at: "mark")
                : StageError("only the action mark has one; the action is \(action.rawValue)", at: "mark")
        }
        guard mark != 0 else { throw StageError("0 is what packets without a mark have; expected another", at: "mark") }
    }

    private static let longestName = 63

    private static func isOfNames(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    /// Tells its buckets, and rates that were changed live, from those of others, also in the next generation.
    var id: UInt32 { fnv(name) }

    /// Lines for `sluicectl plan`.
    var summary: [String] {
        let shown = destinations.prefix(4).map(\.description).joined(separator: ", ")
        let more = destinations.count > 4 ? " and \(destinations.count - 4) more" : ""
        let verb =
            switch action {
            case .drop: "drop"
            case .mark: "mark with \(mark ?? 0)"
            case .count: "count"
            }
        var lines = ["policy \(name) for \(shown)\(more): \(verb) what is over its limits"]
        if let perSource {
            let when = perSource.from == 0 ? "" : " when \(perSource.from)% of the address's burst is used up"
            lines.append(
                "  each source /\(perSource.v4) of IPv4 and /\(perSource.v6) of IPv6 at each address: "
                    + perSource.rate.summary + when)
        }
        if let perAddress { lines.append("  each address: \(perAddress.summary)") }
        if let perPrefix { lines.append("  each of these prefixes: \(perPrefix.summary)") }
        return lines
    }
}

/// FNV-1a, of 32 bits.
func fnv(_ text: String) -> UInt32 {
    text.utf8.reduce(2_166_136_261) { ($0 ^ UInt32($1)) &* 16_777_619 }
}
