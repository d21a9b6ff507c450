// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// The maps that live rules are in.
enum LiveMaps {
    static let active = "live"
    static let rules = "live_rules"
    static let counters = "live_counters"
    static let expiries = "rule_expiries"
    static let names = [active, rules, counters, expiries]
}

/// The rules that were added to a stage while it is live.
///
/// A rule is written to a place that packets do not look at; then a word says that it is in use, which makes it known at
/// once and whole. A place is used again only when it is certain that no packet looks at it any more.
public struct LiveRules {
    /// `DOS_LIVE_RULES`.
    static let places = 256
    /// The size of a `struct dos_rule_count`.
    static let countSize = 32
    /// Seconds after which no packet looks at a place that was freed: of a program that runs for microseconds.
    static let rest: Int64 = 2
    /// Where orders begin, with room before.
    private static let firstOrder: UInt32 = 1 << 30

    /// By place.
    private(set) var rules: [Int: LiveRule] = [:]
    private(set) var words: [UInt64]
    /// The places whose rules are new, and those that were given up.
    private(set) var added: Set<Int> = []
    private(set) var freed: Set<Int> = []
    let context: PlanContext

    init(_ maps: [String: [MapEntry]], in context: PlanContext) {
        self.context = context
        words = [UInt64](repeating: 0, count: Self.places / 64)
        if let active = maps[LiveMaps.active]?.first?.value, active.raw.count == words.count * 8 {
            for index in words.indices { words[index] = active.number(at: index * 8) }
        }
        for entry in maps[LiveMaps.rules] ?? [] {
            guard let place = entry.key.index, let rule = LiveRule(entry.value, in: context) else { continue }
            rules[place] = rule
        }
    }

    func isInUse(_ place: Int) -> Bool { words[place / 64] >> UInt64(place % 64) & 1 != 0 }

    /// In the order that they are tried in.
    var inUse: [(place: Int, rule: LiveRule)] {
        rules.filter { isInUse($0.key) }.map { ($0.key, $0.value) }.sorted { $0.1.order < $1.1.order }
    }

    func isOver(_ rule: LiveRule) -> Bool { rule.rule.end.map { $0.seconds <= context.time } ?? false }

    func place(named name: String) -> Int? { inUse.first { $0.rule.rule.name == name }?.place }

    /// The word that says which are in use.
    var activeEntry: MapEntry {
        var value = Bytes()
        for word in words { value.append(word) }
        return MapEntry(key: Bytes(number: UInt32(0)), value: value)
    }

    func entry(_ place: Int) -> MapEntry {
        MapEntry(key: Bytes(number: UInt32(place)), value: rules[place]!.packed(in: context))
    }

    /// Puts a rule where nobody looks yet.
    /// - Parameters:
    ///   - first: Before all others, and not behind them.
    ///   - order: That of the rule whose place it takes.
    mutating func add(_ rule: Rule, first: Bool, order: UInt32?) throws(StageError) {
        let free = (0..<Self.places).filter { !isInUse($0) }
        guard !free.isEmpty else {
            throw StageError(
                "\(Self.places) rules were added to the live stage, which are all that it can have: remove some, or put "
                    + "them into the configuration and apply it")
        }
        guard let place = free.first(where: { rules[$0]?.freed.map { $0 + Self.rest <= context.time } ?? true }) else {
            throw StageError("all places for rules are in use or were until now; try again in \(Self.rest) seconds")
        }
        let orders = inUse.map(\.rule.order)
        let next = first ? (orders.first ?? Self.firstOrder) - 1 : (orders.last ?? Self.firstOrder) + 1
        rules[place] = LiveRule(rule: rule, order: order ?? next, added: context.time)
        words[place / 64] |= 1 << UInt64(place % 64)
        added.insert(place)
    }

    mutating func free(_ place: Int) {
        words[place / 64] &= ~(1 << UInt64(place % 64))
        rules[place]?.freed = context.time
        freed.insert(place)
    }
}

extension Bytes {
    /// The index that a key of an array is; nil when it is none.
    var index: Int? { raw.count == 4 ? Int(number(as: UInt32.self)) : nil }
}
