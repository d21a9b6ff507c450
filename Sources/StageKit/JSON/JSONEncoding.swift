// SPDX-License-Identifier: Apache-2.0

extension JSON {
    /// The JSON of any `Encodable` value.
    /// - Throws: `EncodingError` for a number that JSON has no form for (not a number, infinity).
    public init(encoding value: some Encodable) throws {
        if let json = value as? JSON {
            self = json
            return
        }
        let slot = Slot()
        try slot.encode(value)
        self = slot.json
    }
}

/// Where an encoder puts one value; a reference, as containers fill it after they were handed out.
private final class Slot {
    enum Content {
        case value(JSON)
        case list([Slot])
        case object([String: Slot])
    }

    let path: [any CodingKey]
    /// Nil until something was encoded; an empty object then, as other encoders have it.
    var content: Content?

    init(path: [any CodingKey] = []) {
        self.path = path
    }

    var json: JSON {
        switch content {
        case .value(let value): value
        case .list(let slots): .array(slots.map(\.json))
        case .object(let slots): .object(JSON.Object(slots.mapValues(\.json)))
        case nil: .object(JSON.Object())
        }
    }

    func member(_ key: any CodingKey) -> Slot {
        let slot = Slot(path: path + [key])
        var slots: [String: Slot] = [:]
        if case .object(let present) = content { slots = present }
        content = nil
        slots[key.stringValue] = slot
        content = .object(slots)
        return slot
    }

    func element() -> Slot {
        var slots: [Slot] = []
        if case .list(let present) = content { slots = present }
        content = nil
        let slot = Slot(path: path + [PathStep.index(slots.count)])
        slots.append(slot)
        content = .list(slots)
        return slot
    }

    func encode<Value: Encodable>(_ value: Value) throws {
        if Value.self == [MapEntry].self, let entries = value as? [MapEntry] {
            content = .value(MapEntry.json(entries))
            return
        }
        switch value {
        case let value as JSON: content = .value(value)
        case let value as String: content = .value(.string(value))
        case let value as Bool: content = .value(.boolean(value))
        case let value as any FixedWidthInteger:
            if let value = Int64(exactly: value) {
                content = .value(.integer(value))
            } else if let value = UInt64(exactly: value) {
                content = .value(.unsigned(value))
            } else {
                throw error(value, "the integer \(value) does not fit 64 bits")
            }
        case let value as Double: try encode(number: value)
        case let value as Float: try encode(number: Double(value))
        default: try value.encode(to: TreeEncoder(slot: self))
        }
    }

    private func encode(number: Double) throws {
        guard number.isFinite else { throw error(number, "JSON has no \(number)") }
        content = .value(.number(number))
    }

    private func error(_ value: Any, _ message: String) -> EncodingError {
        .invalidValue(value, .init(codingPath: path, debugDescription: message))
    }
}

private struct TreeEncoder: Encoder {
    let slot: Slot
    var codingPath: [any CodingKey] { slot.path }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if slot.content == nil { slot.content = .object([:]) }
        return KeyedEncodingContainer(TreeKeyedContainer<Key>(slot: slot))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if slot.content == nil { slot.content = .list([]) }
        return TreeUnkeyedContainer(slot: slot)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { TreeSingleContainer(slot: slot) }
}

private struct TreeSingleContainer: SingleValueEncodingContainer {
    let slot: Slot
    var codingPath: [any CodingKey] { slot.path }

    func encodeNil() throws { slot.content = .value(.null) }
    func encode<Value: Encodable>(_ value: Value) throws { try slot.encode(value) }
}

private struct TreeKeyedContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let slot: Slot
    var codingPath: [any CodingKey] { slot.path }

    func encodeNil(forKey key: Key) throws { slot.member(key).content = .value(.null) }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws { try slot.member(key).encode(value) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        TreeEncoder(slot: slot.member(key)).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        TreeEncoder(slot: slot.member(key)).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { TreeEncoder(slot: slot) }
    func superEncoder(forKey key: Key) -> any Encoder { TreeEncoder(slot: slot.member(key)) }
}

private struct TreeUnkeyedContainer: UnkeyedEncodingContainer {
    let slot: Slot
    var codingPath: [any CodingKey] { slot.path }

    var count: Int {
        if case .list(let slots) = slot.content { slots.count } else { 0 }
    }

    func encodeNil() throws { slot.element().content = .value(.null) }
    func encode<Value: Encodable>(_ value: Value) throws { try slot.element().encode(value) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        TreeEncoder(slot: slot.element()).container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        TreeEncoder(slot: slot.element()).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { TreeEncoder(slot: slot.element()) }
}
