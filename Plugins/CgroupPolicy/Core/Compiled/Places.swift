// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Rules as the program looks them up: by the longest prefix that an address is in, and there one after the other.
///
/// Which rules can hold for an address follows from the longest prefix of all rules that it is in: those of that prefix
/// and of the shorter ones around it. They are put together here, in their order, so that the program needs one look-up
/// whatever there is, and the first rule decides as an operator reads it.
struct Places {
    /// What is tried for the addresses of one prefix; the last holds for everything.
    struct Match: Hashable {
        var ports: ClosedRange<UInt16> = 0...65535
        var localPorts: ClosedRange<UInt16> = 0...65535
        /// A bit for each of TCP, UDP and all else.
        var protocols: UInt32 = everything
        /// Its number, from 1 on; 0 for the default.
        var rule: Int

        static let everything: UInt32 = 7

        var holdsForAll: Bool {
            ports == 0...65535 && localPorts == 0...65535 && protocols == Self.everything
        }
    }

    /// As many as the program tries.
    static let maximum = 64

    /// What each prefix has, in no order.
    private(set) var lists: [(prefix: IPPrefix, matches: [Match])] = []
    private let rules: Rules

    /// - Throws: ``StageError`` when too many rules hold for one address.
    init(_ rules: Rules) throws(StageError) {
        self.rules = rules
        let matches = rules.rules.indices.map { Self.matches(rules.rules[$0], number: $0 + 1) }
        for root in [IPPrefix("0.0.0.0", length: 0), IPPrefix("::", length: 0)] {
            var own: [IPPrefix: [Int]] = [root: []]
            for (index, rule) in rules.rules.enumerated() {
                let prefixes = rule.prefixes.isEmpty ? [root] : rule.prefixes
                for prefix in prefixes where prefix.isIPv4 == root.isIPv4 && own[prefix]?.last != index {
                    own[prefix, default: []].append(index)
                }
            }
            try add(own, matches)
        }
    }

    private mutating func add(_ own: [IPPrefix: [Int]], _ matches: [[Match]]) throws(StageError) {
        // A prefix is followed by those within it.
        let sorted = own.keys.sorted { ($0.address.bytes, $0.length) < ($1.address.bytes, $1.length) }
        var around: [(prefix: IPPrefix, rules: [Int])] = []
        for prefix in sorted {
            while let last = around.last, !last.prefix.contains(prefix.address) { around.removeLast() }
            var merged = Self.merge(around.last?.rules ?? [], own[prefix]!)
            // What follows a rule that holds for everything is never asked.
            if let end = merged.firstIndex(where: { matches[$0].first?.holdsForAll == true }) {
                merged.removeSubrange((end + 1)...)
            }
            around.append((prefix, merged))
            var list = merged.flatMap { matches[$0] }
            if list.last?.holdsForAll != true { list.append(Match(rule: 0)) }
            guard list.count <= Self.maximum else {
                throw StageError(
                    "\(list.count) conditions on ports and protocols are for addresses of \(prefix), of this prefix and those "
                        + "around it; at most \(Self.maximum) are possible", at: "rules")
            }
            lists.append((prefix, list))
        }
    }

    /// Two ascending lists as one.
    private static func merge(_ one: [Int], _ other: [Int]) -> [Int] {
        if one.isEmpty { return other }
        return Array(Set(one).union(other)).sorted()
    }

    private static func matches(_ rule: Rule, number: Int) -> [Match] {
        let everything = 0...UInt16.max
        let hasPorts = rule.ports != nil || rule.localPorts != nil
        let protocols: UInt32 =
            switch rule.transport {
            case .tcp: 1
            case .udp: 2
            case .any: hasPorts ? 3 : Match.everything
            }
        return (rule.ports?.ranges ?? [everything]).flatMap { ports in
            (rule.localPorts?.ranges ?? [everything]).map { local in
                Match(ports: ports, localPorts: local, protocols: protocols, rule: number)
            }
        }
    }

    /// The rules that no address gets to: earlier ones take all that they are for.
    var unreached: [Rule] {
        let reached = Set(lists.flatMap { $0.matches.map(\.rule) })
        return rules.rules.enumerated().filter { !reached.contains($0.offset + 1) }.map(\.element)
    }

    /// The maps `prefixes` and `matches`.
    var maps: [String: MapPlan] {
        var matches: [MapEntry] = []
        var places: [[Match]: UInt32] = [:]
        var prefixes: [MapEntry] = []
        for (prefix, list) in lists {
            var place = Bytes()
            if list.count == 1 {
                place.append(packed(list[0].rule))
                place.append(UInt32(0))
            } else {
                if places[list] == nil {
                    places[list] = UInt32(matches.count)
                    for match in list {
                        matches.append(MapEntry(key: Bytes(number: UInt32(matches.count)), value: packed(match)))
                    }
                }
                place.append(places[list]!)
                place.append(UInt32(list.count))
            }
            prefixes.append(MapEntry(key: Self.key(prefix), value: place))
        }
        return [
            "prefixes": MapPlan(maxEntries: UInt32(prefixes.count), entries: prefixes, freeze: true),
            "matches": MapPlan(maxEntries: UInt32(max(1, matches.count)), entries: matches, freeze: true),
        ]
    }

    private func packed(_ rule: Int) -> UInt32 {
        let action = rule == 0 ? rules.otherwise : rules.rules[rule - 1].action
        return UInt32(rule) | (action == .deny ? 1 << 31 : 0)
    }

    private func packed(_ match: Match) -> Bytes {
        var bytes = Bytes()
        for range in [match.ports, match.localPorts] {
            bytes.append(range.lowerBound)
            bytes.append(range.upperBound)
        }
        bytes.append(match.protocols)
        bytes.append(packed(match.rule))
        return bytes
    }

    /// An IPv4 prefix as that of IPv6 which it is mapped to.
    private static func key(_ prefix: IPPrefix) -> Bytes {
        var bytes = Bytes(number: UInt32(prefix.length + (prefix.isIPv4 ? 96 : 0)))
        bytes.append(bytes: prefix.address.mapped)
        return bytes
    }
}

/// Address by address, then the shorter prefix first.
private func < (one: ([UInt8], Int), other: ([UInt8], Int)) -> Bool {
    one.0 == other.0 ? one.1 < other.1 : one.0.lexicographicallyPrecedes(other.0)
}
