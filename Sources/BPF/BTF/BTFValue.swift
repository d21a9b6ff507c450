// SPDX-License-Identifier: Apache-2.0

/// A value of a BTF type, in JSON's terms: what a key, a value or a constant says, and what somebody wants it to say.
public enum BTFValue: Sendable, Hashable {
    case null
    case boolean(Bool)
    case integer(Int64)
    /// Only what `Int64` cannot hold.
    case unsigned(UInt64)
    /// Only what is no integer.
    case number(Double)
    case string(String)
    case list([BTFValue])
    case object([String: BTFValue])

    /// The number in the case it belongs in.
    public static func number(_ value: some FixedWidthInteger) -> BTFValue {
        Int64(exactly: value).map { .integer($0) } ?? .unsigned(UInt64(value))
    }

    /// What it is, for messages: `the number 3`, `a list`.
    var kind: String {
        switch self {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .integer(let value): "the number \(value)"
        case .unsigned(let value): "the number \(value)"
        case .number(let value): "the number \(value)"
        case .string(let value): value.utf8.count <= 60 ? "the text \"\(value)\"" : "a long text"
        case .list: "a list"
        case .object: "an object"
        }
    }
}

/// A value that does not fit its type, with its place: `key.addr[4]: 300 does not fit __u8, which is 0 to 255`.
public struct BTFError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Where: members behind dots, indices in brackets.
    public var path: String
    public var message: String

    public init(path: String, message: String) {
        self.path = path
        self.message = message
    }

    public var description: String { "\(path): \(message)" }
}
