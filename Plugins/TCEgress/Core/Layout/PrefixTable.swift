// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// What is known of the addresses of one side, for the tries of both families. A trie gives the longest prefix only, so
/// each prefix has what those around it say, too.
struct PrefixTable {
    private struct Entry {
        var match = Bits()
        var block: Int?
        var allowed = false
        var own = false
    }

    private var entries: [IPPrefix: Entry] = [:]
    /// What matches whatever the address.
    private let others: Bits

    init(others: Bits) {
        self.others = others
    }

    mutating func match(_ prefix: IPPrefix, _ number: Int) { entries[prefix, default: Entry()].match.insert(number) }
    mutating func allow(_ prefix: IPPrefix) { entries[prefix, default: Entry()].allowed = true }
    mutating func own(_ prefix: IPPrefix) { entries[prefix, default: Entry()].own = true }
    mutating func block(_ prefix: IPPrefix, reason: Int) { entries[prefix, default: Entry()].block = reason }

    /// The entries of a family's trie.
    func plan(isIPv4: Bool) -> MapPlan {
        // Prefixes come right before all that lie in them.
        let sorted = entries.lazy.filter { $0.key.isIPv4 == isIPv4 }.map { (words: Self.words($0.key), entry: $0) }
            .sorted {
                ($0.words.high, $0.words.low, $0.entry.key.length) < ($1.words.high, $1.words.low, $1.entry.key.length)
            }
        var around: [(prefix: IPPrefix, entry: Entry)] = []
        var planned: [MapEntry] = []
        planned.reserveCapacity(sorted.count)
        for (_, (prefix, found)) in sorted {
            while let last = around.last, !last.prefix.contains(prefix.address) { around.removeLast() }
            var entry = found
            if let outer = around.last?.entry {
                entry.match.formUnion(outer.match)
                entry.block = entry.block ?? outer.block
                entry.allowed = entry.allowed || outer.allowed
                entry.own = entry.own || outer.own
            }
            around.append((prefix, entry))
            entry.match.formUnion(others)
            planned.append(MapEntry(key: Self.key(prefix), value: Self.value(entry)))
        }
        return MapPlan(maxEntries: UInt32(max(1, planned.count)), entries: planned, freeze: true)
    }

    func isEmpty(isIPv4: Bool) -> Bool { !entries.keys.contains { $0.isIPv4 == isIPv4 } }

    private static func words(_ prefix: IPPrefix) -> (high: UInt64, low: UInt64) {
        let bytes = prefix.address.bytes
        func word(_ part: ArraySlice<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
        return (word(bytes.prefix(8)), word(bytes.dropFirst(8)))
    }

    /// A `struct egress_prefix_v4` or `struct egress_prefix_v6`.
    private static func key(_ prefix: IPPrefix) -> Bytes {
        var bytes = Bytes(number: UInt32(prefix.length))
        bytes.append(bytes: prefix.address.bytes)
        return bytes
    }

    /// A `struct egress_prefix`.
    private static func value(_ entry: Entry) -> Bytes {
        var bytes = entry.match.bytes
        bytes.append(UInt32(entry.block.map { $0 + 1 } ?? 0))
        bytes.append(bytes: [entry.allowed ? 1 : 0, entry.own ? 1 : 0, 0, 0])
        return bytes
    }
}
