// SPDX-License-Identifier: Apache-2.0

/// A JSON value (RFC 8259). Integers keep all of their 64 bits.
///
/// StageKit has its own JSON so that a plugin starts without Foundation, unknown keys are found, and duplicate ones
/// refused.
public enum JSON: Sendable, Hashable {
    case null
    case boolean(Bool)
    case integer(Int64)
    /// Only what `Int64` cannot hold.
    case unsigned(UInt64)
    case number(Double)
    case string(String)
    case array([JSON])
    case object(Object)

    /// The members of an object, each key once, sorted by key.
    public struct Object: Sendable, Hashable {
        /// One key and its value.
        public struct Member: Sendable, Hashable {
            public let key: String
            public var value: JSON
        }

        public private(set) var members: [Member]

        public init(_ dictionary: [String: JSON] = [:]) {
            members = dictionary.map { Member(key: $0.key, value: $0.value) }
            members.sort { $0.key < $1.key }
        }

        /// - Precondition: `members` is sorted by key, and no key is there twice.
        init(sorted members: [Member]) {
            self.members = members
        }

        /// Nil when a key is there twice; `duplicate` then names it.
        init?(members: [Member], duplicate: inout String) {
            self.members = members
            self.members.sort { $0.key < $1.key }
            for (left, right) in zip(self.members, self.members.dropFirst()) where left.key == right.key {
                duplicate = left.key
                return nil
            }
        }

        /// The position of `key` in ``members``.
        func index(of key: String) -> Int? {
            let index = lowerBound(of: key)
            return index < members.count && members[index].key == key ? index : nil
        }

        private func lowerBound(of key: String) -> Int {
            var low = 0
            var high = members.count
            while low < high {
                let middle = (low + high) / 2
                if members[middle].key < key { low = middle + 1 } else { high = middle }
            }
            return low
        }

        /// The value of `key`; nil when it is not there.
        public subscript(key: String) -> JSON? {
            get { index(of: key).map { members[$0].value } }
            set {
                let place = lowerBound(of: key)
                let found = place < members.count && members[place].key == key
                switch (newValue, found) {
                case (let value?, true): members[place].value = value
                case (let value?, false): members.insert(Member(key: key, value: value), at: place)
                case (nil, true): members.remove(at: place)
                case (nil, false): break
                }
            }
        }
    }

    /// The member `key` of an object; nil for anything else.
    public subscript(key: String) -> JSON? {
        if case .object(let object) = self { object[key] } else { nil }
    }

    /// What it is, for messages: `the number 3`, `a list`.
    var kind: String {
        switch self {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .integer(let value): "the number \(value)"
        case .unsigned(let value): "the number \(value)"
        case .number(let value): "the number \(value)"
        case .string(let value): value.utf8.count <= 60 ? "the string \"\(value)\"" : "a long string"
        case .array: "a list"
        case .object: "an object"
        }
    }
}

extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(Object(Dictionary(elements) { _, last in last }))
    }
}

extension JSON: Codable {
    private struct MemberKey: CodingKey {
        let stringValue: String
        let intValue: Int? = nil
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Works with any decoder; this package's own hands over its tree as it is.
    public init(from decoder: any Decoder) throws {
        if let object = try? decoder.container(keyedBy: MemberKey.self) {
            var result = Object()
            for key in object.allKeys { result[key.stringValue] = try object.decode(JSON.self, forKey: key) }
            self = .object(result)
        } else if var list = try? decoder.unkeyedContainer() {
            var result: [JSON] = []
            while !list.isAtEnd { result.append(try list.decode(JSON.self)) }
            self = .array(result)
        } else {
            let single = try decoder.singleValueContainer()
            if single.decodeNil() {
                self = .null
            } else if let value = try? single.decode(Bool.self) {
                self = .boolean(value)
            } else if let value = try? single.decode(Int64.self) {
                self = .integer(value)
            } else if let value = try? single.decode(UInt64.self) {
                self = .unsigned(value)
            } else if let value = try? single.decode(Double.self) {
                self = .number(value)
            } else {
                self = .string(try single.decode(String.self))
            }
        }
    }

    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .object(let object):
            var container = encoder.container(keyedBy: MemberKey.self)
            for member in object.members {
                try container.encode(member.value, forKey: MemberKey(stringValue: member.key))
            }
        case .array(let list):
            var container = encoder.unkeyedContainer()
            for value in list { try container.encode(value) }
        default:
            var container = encoder.singleValueContainer()
            switch self {
            case .boolean(let value): try container.encode(value)
            case .integer(let value): try container.encode(value)
            case .unsigned(let value): try container.encode(value)
            case .number(let value): try container.encode(value)
            case .string(let value): try container.encode(value)
            default: try container.encodeNil()
            }
        }
    }
}
