// SPDX-License-Identifier: Apache-2.0

internal import StageKit

// What bpf/tc-egress/types.h lays out: change both, and the tests will tell.

extension TrafficClass {
    /// A `struct egress_class`.
    func packed(slot: Int) -> Bytes {
        var bytes = Bytes()
        bytes.append(police?.rate.cost ?? 0)
        bytes.append(police?.tolerance ?? 0)
        bytes.append(police?.reach ?? 0)
        bytes.append(pace?.cost ?? 0)
        bytes.append(sample?.interval ?? 0)
        bytes.append(UInt32(slot))
        bytes.append(set.mark?.value ?? 0)
        bytes.append(set.mark?.mask ?? 0)
        bytes.append(UInt16(set.mss ?? 0))
        bytes.append(bytes: [police?.rate.unit == .bytes ? 1 : 0, set.dscp.map { $0.number << 2 | 1 } ?? 0])
        return bytes
    }

    /// `max_entries` of `cells`.
    private static let slots = 1024

    /// The places of classes' cells: by a hash of the name, so that what a class remembers stays its own when others come
    /// and go. Who finds another there takes the next.
    static func slots(_ names: [String]) -> [Int] {
        var taken: Set<Int> = []
        var slots: [String: Int] = [:]
        for name in names.sorted() {
            var hash: UInt32 = 2_166_136_261
            for byte in name.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
            var slot = Int(hash % UInt32(Self.slots))
            while !taken.insert(slot).inserted { slot = (slot + 1) % Self.slots }
            slots[name] = slot
        }
        return names.map { slots[$0]! }
    }
}

/// All that is matched, by number: control traffic first, then the classes.
struct Matching {
    let conditions: [Conditions]
    let controls: Int

    /// The most prefixes, of all lists together.
    init(_ configuration: Configuration, isIngress: Bool) {
        let control = configuration.control.flatMap { $0.conditions(isIngress: isIngress) }
        conditions = control + configuration.classes.map(\.conditions)
        controls = control.count
    }

    /// The numbers of those that ask for nothing of a kind.
    func others(_ asks: (Conditions) -> Bool) -> Bits { Bits(conditions.indices.filter { !asks(conditions[$0]) }) }

    private func asks(_ asks: (Conditions) -> Bool) -> Bool { conditions.contains(where: asks) }

    var masks: [UInt32] { Set(conditions.flatMap { $0.marks.map(\.mask) }).sorted() }
    var cgroups: [String] { Set(conditions.flatMap(\.cgroups)).sorted() }

    var constants: [String: Constant] {
        var masks = masks
        let masksAsked = masks.count
        masks += [UInt32](repeating: 0, count: max(0, 4 - masks.count))
        return [
            "asks_protocol": .boolean(asks { !$0.protocols.isEmpty }),
            "asks_source_port": .boolean(asks { $0.sourcePort != nil }),
            "asks_destination_port": .boolean(asks { $0.destinationPort != nil }),
            "mark_masks_asked": .integer(Int64(masksAsked)),
            "mark_masks": .bytes(
                masks.reduce(into: Bytes()) { $0.append($1) }),
            "cgroups_asked": .integer(Int64(cgroups.count)),
            "any_source": .bytes(others { !$0.source.isEmpty }.bytes),
            "any_destination": .bytes(others { !$0.destination.isEmpty }.bytes),
            "any_mark": .bytes(others { !$0.marks.isEmpty }.bytes),
            "any_cgroup": .bytes(others { !$0.cgroups.isEmpty }.bytes),
            "all": .bytes(Bits(conditions.indices).bytes),
            "words": .integer(Int64((conditions.count + 63) / 64)),
            "controls": .integer(Int64(controls)),
        ]
    }

    var maps: [String: MapPlan] {
        var maps: [String: MapPlan] = [:]
        if asks({ !$0.protocols.isEmpty }) {
            let any = others { !$0.protocols.isEmpty }
            var values = [Bits](repeating: any, count: 256)
            for (number, condition) in conditions.enumerated() {
                for kind in condition.protocols { values[Int(kind.number)].insert(number) }
            }
            maps["protocols"] = MapPlan(entries: array(values.map(\.bytes)), freeze: true)
        }
        if asks({ $0.sourcePort != nil || $0.destinationPort != nil }) {
            let tables = PortTables(
                source: conditions.map(\.sourcePort), destination: conditions.map(\.destinationPort))
            maps.merge(tables.maps) { $1 }
        }
        var marks: [Mark: Bits] = [:]
        for (number, condition) in conditions.enumerated() {
            for mark in condition.marks { marks[mark, default: Bits()].insert(number) }
        }
        maps["mark_matches"] = MapPlan(
            maxEntries: UInt32(max(1, marks.count)),
            entries: marks.sorted { ($0.key.mask, $0.key.value) < ($1.key.mask, $1.key.value) }.map { mark, bits in
                var key = Bytes(number: mark.mask)
                key.append(mark.value)
                return MapEntry(key: key, value: bits.bytes)
            }, freeze: true)
        let matches = cgroups.map { cgroup in
            Bits(conditions.indices.filter { conditions[$0].cgroups.contains(cgroup) })
        }
        maps["cgroups"] = MapPlan(maxEntries: UInt32(max(1, matches.count)))
        maps["cgroup_matches"] = MapPlan(
            maxEntries: UInt32(max(1, matches.count)), entries: array(matches.map(\.bytes)), freeze: true)
        return maps
    }
}
