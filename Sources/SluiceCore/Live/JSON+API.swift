// SPDX-License-Identifier: Apache-2.0

internal import SluiceAPI
internal import StageKit

extension JSON {
    /// What a request says.
    init(_ value: JSONValue) {
        switch value {
        case .null: self = .null
        case .boolean(let value): self = .boolean(value)
        case .integer(let value): self = .integer(value)
        case .unsigned(let value): self = .unsigned(value)
        case .number(let value): self = .number(value)
        case .string(let value): self = .string(value)
        case .array(let values): self = .array(values.map { JSON($0) })
        case .object(let members): self = .object(.init(members.mapValues { JSON($0) }))
        }
    }
}

extension JSONValue {
    /// What a plugin says.
    init(_ value: JSON) {
        switch value {
        case .null: self = .null
        case .boolean(let value): self = .boolean(value)
        case .integer(let value): self = .integer(value)
        case .unsigned(let value): self = .unsigned(value)
        case .number(let value): self = .number(value)
        case .string(let value): self = .string(value)
        case .array(let values): self = .array(values.map { JSONValue($0) })
        case .object(let object):
            self = .object(.init(uniqueKeysWithValues: object.members.map { ($0.key, JSONValue($0.value)) }))
        }
    }
}
