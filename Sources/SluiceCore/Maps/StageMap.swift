// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI

/// One map of a stage, found by name: where it is pinned, and what its bytes mean.
struct StageMap {
    var name: String
    var pin: String
    var role: MapRole
    var keyType: BTFType?
    var valueType: BTFType?

    /// What is told of it; `entries` is counted up to `limit`.
    func info(of map: borrowing BPFMap, counted: (entries: Int, more: Bool)?) -> MapInfo {
        MapInfo(
            name: name, type: map.type.description, keyType: keyType?.description, valueType: valueType?.description,
            maxEntries: map.maxEntries, entries: counted?.entries, more: counted?.more ?? false, role: role,
            frozen: map.isFrozen() ?? false)
    }

    /// An entry in the terms of its types.
    func entry(_ entry: BPFMap.Entry, perCPU: Bool) -> TypedEntry {
        let key = JSONValue(keyType?.value(of: entry.key) ?? .null)
        let values = entry.values.map { JSONValue(valueType?.value(of: $0) ?? .null) }
        guard perCPU else { return TypedEntry(key: key, value: values.first) }
        return TypedEntry(key: key, value: sum(entry.values).map { JSONValue($0) }, cpus: values)
    }

    /// The sum over the CPUs; nil unless all that a value has is 64-bit counters.
    private func sum(_ values: [[UInt8]]) -> BTFValue? {
        guard let valueType, valueType.isCounters else { return nil }
        var words = [UInt64](repeating: 0, count: valueType.size / 8)
        for value in values {
            value.withUnsafeBytes { raw in
                for index in words.indices {
                    words[index] &+= raw.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
                }
            }
        }
        return valueType.value(of: words.flatMap { BPF.bytes(of: $0) })
    }
}

extension BTFType {
    /// Whether it is unsigned 64-bit numbers and nothing else, which can be added up.
    fileprivate var isCounters: Bool {
        switch kind {
        case .integer(isSigned: false): size == 8
        case .array(let element, _): element.isCounters
        case .composite(let members, isUnion: false):
            members.allSatisfy { $0.bits == 0 && $0.type.isCounters }
                && members.map(\.type.size).reduce(0, +) == size
        default: false
        }
    }
}
