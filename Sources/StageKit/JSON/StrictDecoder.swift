// SPDX-License-Identifier: Apache-2.0

/// One value of the tree while it is decoded, with the keys that were asked of it.
final class Node {
    let value: JSON
    private let parent: Node?
    private let step: PathStep?
    private let ignoresUnknown: Bool
    /// Which members of an object were asked for, by position.
    private var asked: [Bool] = []
    /// Keys asked for that are not there.
    private var absent: [String] = []
    /// Values decoded piece by piece, through nested containers.
    private var nested: [Node] = []

    init(_ value: JSON, ignoringUnknownKeys: Bool) {
        self.value = value
        ignoresUnknown = ignoringUnknownKeys
        parent = nil
        step = nil
    }

    private init(_ value: JSON, _ step: PathStep, of parent: Node) {
        self.value = value
        self.parent = parent
        self.step = step
        ignoresUnknown = parent.ignoresUnknown
    }

    /// From the root down; made only when somebody asks, for errors.
    var path: [any CodingKey] {
        var steps: [any CodingKey] = []
        var node: Node? = self
        while let current = node {
            if let step = current.step { steps.append(step) }
            node = current.parent
        }
        return steps.reversed()
    }

    func error(_ message: String, at step: PathStep? = nil) -> DecodingError {
        var path = path
        if let step { path.append(step) }
        return .dataCorrupted(.init(codingPath: path, debugDescription: message))
    }

    /// The member `key`; nil when it is not there. Either way the type knows the key.
    func member(_ key: any CodingKey) -> Node? {
        guard case .object(let object) = value else { return nil }
        if asked.isEmpty { asked = Array(repeating: false, count: object.members.count) }
        guard let index = object.index(of: key.stringValue) else {
            absent.append(key.stringValue)
            return nil
        }
        asked[index] = true
        return Node(object.members[index].value, .key(key.stringValue), of: self)
    }

    func element(_ index: Int, _ value: JSON) -> Node {
        Node(value, .index(index), of: self)
    }

    /// Remembers a value that a nested container takes apart, to check it with this one.
    func adopt(_ node: Node) {
        nested.append(node)
    }

    /// Decodes the whole value, then looks for members nobody asked for.
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if type == JSON.self, let value = value as? Value {
            if case .object(let object) = self.value {
                asked = Array(repeating: true, count: object.members.count)
            }
            return value
        }
        if type == [MapEntry].self, let entries = MapEntry.entries(value) as? Value { return entries }
        do {
            let value: Value
            do {
                value = try Value(from: StrictDecoder(node: self))
            } catch is DecodingError where choices(of: type) != nil {
                throw error(notOneOf(choices(of: type) ?? []))
            }
            try checkUnknown()
            return value
        } catch let error as DecodingError {
            throw error.placed(at: path)
        } catch let error as StageError {
            throw self.error(error.message, at: error.path.isEmpty ? nil : .verbatim(error.path))
        }
    }

    /// As ``decode(_:)`` for a type that only wraps another; a failure leaves no trace, so that the type can try the
    /// next.
    func attempt<Value: Decodable>(_ type: Value.Type) throws -> Value {
        let before = (asked, absent, nested)
        do {
            return try decode(type)
        } catch {
            (asked, absent, nested) = before
            throw error
        }
    }

    private func checkUnknown() throws {
        for node in nested { try node.checkUnknown() }
        guard !ignoresUnknown, case .object(let object) = value else { return }
        if asked.isEmpty { asked = Array(repeating: false, count: object.members.count) }
        guard let unknown = asked.firstIndex(of: false) else { return }
        let key = object.members[unknown].key
        let known = zip(object.members, asked).compactMap { $1 ? $0.key : nil } + absent
        throw error(unknownKey(key, known: known), at: .key(key))
    }

    private func notOneOf(_ choices: [String]) -> String {
        let list = choices.map { "\"\($0)\"" }.joined(separator: ", ")
        return "\(value.kind) is not one of \(list)"
    }
}

/// The raw values of a string enum; nil for any other type.
private func choices(of type: any Any.Type) -> [String]? {
    func names<Case: CaseIterable>(_ type: Case.Type) -> [String]? {
        let names = type.allCases.compactMap { ($0 as? any RawRepresentable)?.rawValue as? String }
        return names.count == type.allCases.count ? names : nil
    }
    return (type as? any CaseIterable.Type).flatMap { names($0) }
}

struct StrictDecoder: Decoder {
    let node: Node
    var codingPath: [any CodingKey] { node.path }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .object(let object) = node.value else {
            throw node.error("expected an object, found \(node.value.kind)")
        }
        return KeyedDecodingContainer(StrictKeyedContainer<Key>(node: node, object: object))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let values) = node.value else {
            throw node.error("expected a list, found \(node.value.kind)")
        }
        return StrictUnkeyedContainer(node: node, values: values)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer {
        StrictSingleContainer(node: node)
    }
}

private struct StrictSingleContainer: SingleValueDecodingContainer {
    let node: Node
    var codingPath: [any CodingKey] { node.path }

    func decodeNil() -> Bool { node.value == .null }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if let value = try node.scalar(type) { return value }
        return try node.attempt(type)
    }
}

private struct StrictKeyedContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let node: Node
    let object: JSON.Object
    var codingPath: [any CodingKey] { node.path }
    var allKeys: [Key] { object.members.compactMap { Key(stringValue: $0.key) } }

    func contains(_ key: Key) -> Bool { node.member(key) != nil }
    func decodeNil(forKey key: Key) -> Bool { node.member(key).map { $0.value == .null } ?? true }

    private func required(_ key: Key, _ expected: String? = nil) throws -> Node {
        guard let member = node.member(key) else {
            let expected = expected.map { " (\($0))" } ?? ""
            throw node.error("required, but missing\(expected)", at: .key(key.stringValue))
        }
        return member
    }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        let member = try required(key, Node.name(of: type))
        if let value = try member.scalar(type) { return value }
        return try member.decode(type)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        let member = try required(key, "an object")
        node.adopt(member)
        return try StrictDecoder(node: member).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        let member = try required(key, "a list")
        node.adopt(member)
        return try StrictDecoder(node: member).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { StrictDecoder(node: node) }

    func superDecoder(forKey key: Key) throws -> any Decoder {
        let member = try required(key)
        node.adopt(member)
        return StrictDecoder(node: member)
    }
}

private struct StrictUnkeyedContainer: UnkeyedDecodingContainer {
    let node: Node
    let values: [JSON]
    private(set) var currentIndex = 0
    var codingPath: [any CodingKey] { node.path }
    var count: Int? { values.count }
    var isAtEnd: Bool { currentIndex >= values.count }

    init(node: Node, values: [JSON]) {
        self.node = node
        self.values = values
    }

    private func current() throws -> Node {
        guard !isAtEnd else { throw node.error("expected more than \(values.count) elements") }
        return node.element(currentIndex, values[currentIndex])
    }

    mutating func decodeNil() throws -> Bool {
        guard try current().value == .null else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        let element = try current()
        let value = try element.scalar(type) ?? element.decode(type)
        currentIndex += 1
        return value
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        let element = try current()
        let container = try StrictDecoder(node: element).container(keyedBy: type)
        node.adopt(element)
        currentIndex += 1
        return container
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let element = try current()
        let container = try StrictDecoder(node: element).unkeyedContainer()
        node.adopt(element)
        currentIndex += 1
        return container
    }

    mutating func superDecoder() throws -> any Decoder {
        let element = try current()
        node.adopt(element)
        currentIndex += 1
        return StrictDecoder(node: element)
    }
}
