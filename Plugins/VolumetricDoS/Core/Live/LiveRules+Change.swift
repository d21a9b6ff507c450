// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// What `sluicectl rule add` and `remove` ask for.
private struct RuleChange: Decodable {
    var add: [Rule]
    /// Before the rules that were added earlier.
    var first: Bool
    /// By name.
    var remove: [String]

    private enum CodingKeys: CodingKey {
        case add, first, remove
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        add = try container.decodeIfPresent([Rule].self, forKey: .add) ?? []
        first = try container.decodeIfPresent(Bool.self, forKey: .first) ?? false
        remove = try container.decodeIfPresent([String].self, forKey: .remove) ?? []
        guard !(add.isEmpty && remove.isEmpty) else { throw StageError("expected rules to add, or names to remove") }
    }
}

extension LiveRules {
    /// Adds and removes rules.
    /// - Throws: ``StageError`` for a rule that cannot be, or a name that no rule has.
    public static func change(_ request: ChangeRequest) throws -> StageChange {
        let change = try request.request.decode(RuleChange.self)
        var live = LiveRules(request.maps, in: request.context)
        let configured = request.labels["rules"] ?? []
        var (summary, expiries): ([String], [MapEntry]) = ([], [])
        // What is over makes room.
        for (place, rule) in live.inUse where live.isOver(rule) { live.free(place) }
        for (index, name) in change.remove.enumerated() {
            if let place = live.place(named: name) {
                live.free(place)
            } else if let rank = configured.firstIndex(of: name) {
                // Long ago; 0 would be never.
                expiries.append(MapEntry(key: Bytes(number: UInt32(rank)), value: Bytes([1, 0, 0, 0, 0, 0, 0, 0])))
            } else {
                throw StageError(
                    "the stage has no rule \"\(name)\"; `rule list` shows those it has", at: "remove[\(index)]")
            }
            summary.append("removed rule \"\(name)\"")
        }
        var names = Set(configured)
        for (index, asked) in (change.first ? change.add.reversed() : change.add).enumerated() {
            let index = change.first ? change.add.count - 1 - index : index
            do {
                var rule = asked
                try rule.check(at: request.context.time)
                try rule.checkLive()
                rule.end = rule.expiry(at: request.context.time).map(Moment.init(seconds:))
                rule.lifetime = nil
                rule.name = rule.name ?? live.freshName(names)
                let name = rule.name ?? ""
                guard names.insert(name).inserted else {
                    throw StageError("\"\(name)\" is another rule's name", at: "name")
                }
                let before = live.place(named: name)
                if let before { live.free(before) }
                try live.add(rule, first: change.first, order: before.flatMap { live.rules[$0]?.order })
                summary.append(
                    "\(before == nil ? "added" : "replaced") rule \"\(name)\": \(rule.deed): "
                        + rule.conditions.joined(separator: ", "))
            } catch let error as StageError {
                throw StageError(error.message, at: "add[\(index)]" + (error.path.isEmpty ? "" : ".\(error.path)"))
            }
        }
        return StageChange(updates: live.updates(request, expiries), summary: summary)
    }

    /// Rules first, then the word that makes them known and forgets the others, then the notes on free places.
    private func updates(_ request: ChangeRequest, _ expiries: [MapEntry]) -> [MapUpdate] {
        let (written, freed) = (added.sorted(), freed.sorted())
        var updates: [MapUpdate] = []
        if !written.isEmpty {
            let zeros = Bytes([UInt8](repeating: 0, count: request.context.cpus * Self.countSize))
            updates.append(
                MapUpdate(
                    map: LiveMaps.counters,
                    entries: written.map { MapEntry(key: Bytes(number: UInt32($0)), value: zeros) }))
            updates.append(MapUpdate(map: LiveMaps.rules, entries: written.map { entry($0) }))
        }
        if !(written.isEmpty && freed.isEmpty) {
            updates.append(MapUpdate(map: LiveMaps.active, entries: [activeEntry]))
        }
        if !freed.isEmpty { updates.append(MapUpdate(map: LiveMaps.rules, entries: freed.map { entry($0) })) }
        if !expiries.isEmpty { updates.append(MapUpdate(map: LiveMaps.expiries, entries: expiries)) }
        return updates
    }

    private func freshName(_ taken: Set<String>) -> String {
        let taken = taken.union(inUse.compactMap(\.rule.rule.name))
        return (1...).lazy.map { "live-\($0)" }.first { !taken.contains($0) }!
    }
}
