// SPDX-License-Identifier: Apache-2.0

/// A plan may have a million map entries; these ways past the containers take a third of the time and memory.
extension MapEntry {
    fileprivate var json: JSON {
        .object(JSON.Object(key: .string(key.hex), value: .string(value.hex)))
    }

    /// The JSON of many entries, as their `encode(to:)` would have it.
    static func json(_ entries: [MapEntry]) -> JSON { .array(entries.map(\.json)) }

    /// The entries in `json`; nil when anything about it is wrong, which the slow way then names.
    static func entries(_ json: JSON) -> [MapEntry]? {
        guard case .array(let elements) = json else { return nil }
        var entries: [MapEntry] = []
        entries.reserveCapacity(elements.count)
        for element in elements {
            guard case .object(let object) = element, object.members.count == 2, object.members[0].key == "key",
                object.members[1].key == "value", case .string(let key) = object.members[0].value,
                case .string(let value) = object.members[1].value, let key = Bytes(hex: key),
                let value = Bytes(hex: value)
            else { return nil }
            entries.append(MapEntry(key: key, value: value))
        }
        return entries
    }
}

extension JSON.Object {
    /// `{"key": ..., "value": ...}`.
    fileprivate init(key: JSON, value: JSON) {
        self.init(sorted: [Member(key: "key", value: key), Member(key: "value", value: value)])
    }
}
