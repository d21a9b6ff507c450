// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import StageKit

/// The stage that drops UDP to ports, and takes and loses some while it is live.
enum Live {
    static let slots = 4

    /// A port, by name, in a slot that all generations share; or, `own`, in the live generation's map.
    struct Rule: Codable {
        var name: String?
        var port: UInt32
        var own: Bool?
        /// Only shown.
        var ttl: String?
    }

    struct Request: Codable {
        var add: [Rule]?
        var remove: [String]?
        /// From the last slot on.
        var first: Bool?
        /// What to do wrong.
        var wrong: Wrong?
    }

    enum Wrong: String, Codable, CaseIterable {
        /// A map that is not among the plan's.
        case otherMap = "other-map"
        /// A key of another size.
        case badSize = "bad-size"
        /// Nothing to tell.
        case noSummary = "no-summary"
        /// The last entry has no place.
        case tooMany = "too-many"
        /// It dies.
        case crash
    }

    struct Slot {
        var port: UInt32
        var name: String

        init(port: UInt32, name: String) {
            self.port = port
            self.name = name
        }

        init(_ value: Bytes) {
            port = value.raw.prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
            name = String(decoding: value.raw.dropFirst(4).prefix { $0 != 0 }, as: UTF8.self)
        }

        var bytes: Bytes {
            var bytes = Bytes()
            bytes.append(port)
            bytes.append(bytes: name.utf8.prefix(12))
            while bytes.raw.count < 16 { bytes.append(UInt8(0)) }
            return bytes
        }
    }

    static func number(_ value: UInt32) -> Bytes {
        var bytes = Bytes()
        bytes.append(value)
        return bytes
    }

    static func entry(port: UInt32) -> MapEntry { MapEntry(key: number(port), value: number(1)) }

    static let counters = CounterTable(
        name: "slots", map: "live_hits", columns: ["packets", "last"], times: ["last"],
        rows: (0..<slots).map { "slot \($0)" })

    static let maps = ["live_slots", "live_ports", "live_hits"]

    static func change(_ request: ChangeRequest) throws -> StageChange {
        let asked = try request.request.decode(Request.self)
        guard let entries = request.maps["live_slots"], let labels = request.labels["slots"] else {
            throw StageError("the manager does not show the maps")
        }
        var slots = Self.slots(entries)
        var (changed, ports, summary): ([Int], [MapEntry], [String]) = ([], [], [])
        for (index, rule) in (asked.add ?? []).enumerated() {
            guard (1...65535).contains(rule.port) else {
                throw StageError("\(rule.port): a port is 1 to 65535", at: "add[\(index)].port")
            }
            let name = rule.name ?? "port-\(rule.port)"
            if rule.own == true {
                ports.append(entry(port: rule.port))
                summary.append("added port \(rule.port)")
                continue
            }
            guard !slots.contains(where: { $0.port != 0 && $0.name == name }) else {
                throw StageError("there is a rule \"\(name)\"", at: "add[\(index)].name")
            }
            let free = slots.indices.filter { slots[$0].port == 0 }
            guard let slot = asked.first == true ? free.last : free.first else {
                throw StageError("all \(Live.slots) slots are taken", at: "add[\(index)]")
            }
            slots[slot] = Slot(port: rule.port, name: name)
            changed.append(slot)
            summary.append("added rule \(name) in \(labels[slot])\(rule.ttl.map { " for \($0)" } ?? "")")
        }
        for (index, name) in (asked.remove ?? []).enumerated() {
            guard let slot = slots.firstIndex(where: { $0.port != 0 && $0.name == name }) else {
                throw StageError("there is no rule \"\(name)\"", at: "remove[\(index)]")
            }
            slots[slot] = Slot(port: 0, name: "")
            changed.append(slot)
            summary.append("removed rule \(name)")
        }
        // Packets and last, of each CPU.
        let none = Bytes([UInt8](repeating: 0, count: request.context.cpus * 16))
        var change = StageChange(
            updates: [
                MapUpdate(map: "live_hits", entries: changed.map { MapEntry(key: number(UInt32($0)), value: none) }),
                MapUpdate(
                    map: "live_slots",
                    entries: changed.map { MapEntry(key: number(UInt32($0)), value: slots[$0].bytes) }),
                MapUpdate(map: "live_ports", entries: ports),
            ], summary: summary)
        asked.wrong?.apply(to: &change)
        return change
    }

    /// All of them; those that are zero are not shown.
    private static func slots(_ entries: [MapEntry]) -> [Slot] {
        var slots = [Slot](repeating: Slot(port: 0, name: ""), count: slots)
        for entry in entries { slots[Int(entry.key.raw[0])] = Slot(entry.value) }
        return slots
    }

    static func inspect(_ request: InspectRequest) throws -> StageTable {
        guard request.request == ["list": "rules"] else { throw StageError("it lists rules and nothing else") }
        let ports = try request.configuration.decode(FixtureStage.Configuration.self).ports ?? []
        let slots = Self.slots(request.maps["live_slots"] ?? [])
        let counters = request.counters["slots"] ?? []
        var rows = ports.map { port -> [JSON] in ["configured", .integer(Int64(port)), nil, nil] }
        for (slot, values) in zip(slots, counters) where slot.port != 0 {
            let age = request.context.time - Int64(values[1])
            rows.append([
                .string(slot.name), .integer(Int64(slot.port)), .integer(Int64(values[0])),
                values[1] == 0 ? nil : .integer(age),
            ])
        }
        return StageTable(
            columns: ["rule", "port", "packets", "age"], rows: rows,
            notes: ["\(slots.count { $0.port == 0 }) slots are free"])
    }
}

extension Live.Wrong {
    func apply(to change: inout StageChange) {
        switch self {
        case .otherMap:
            change.updates.append(
                MapUpdate(map: "sluice_counters", entries: [MapEntry(key: Live.number(0), value: Live.number(0))]))
        case .badSize:
            change.updates.append(
                MapUpdate(map: "live_slots", entries: [MapEntry(key: Bytes([0]), value: Live.number(0))]))
        case .noSummary: change.summary = []
        case .tooMany:
            change.updates.append(
                MapUpdate(map: "live_ports", entries: (60_000..<60_005).map { Live.entry(port: $0) }))
        case .crash: exit(3)
        }
    }
}
