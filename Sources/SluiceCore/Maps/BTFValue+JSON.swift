// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

extension BTFValue {
    /// What a spec says, for a type to make bytes of.
    init(_ json: JSON) {
        switch json {
        case .null: self = .null
        case .boolean(let value): self = .boolean(value)
        case .integer(let value): self = .integer(value)
        case .unsigned(let value): self = .unsigned(value)
        case .number(let value): self = .number(value)
        case .string(let value): self = .string(value)
        case .array(let values): self = .list(values.map { BTFValue($0) })
        case .object(let object):
            self = .object(
                Dictionary(uniqueKeysWithValues: object.members.map { ($0.key, BTFValue($0.value)) }))
        }
    }
}

extension JSON {
    /// What a spec would say for it.
    init(_ value: BTFValue) {
        switch value {
        case .null: self = .null
        case .boolean(let value): self = .boolean(value)
        case .integer(let value): self = .integer(value)
        case .unsigned(let value): self = .unsigned(value)
        case .number(let value): self = .number(value)
        case .string(let value): self = .string(value)
        case .list(let values): self = .array(values.map { JSON($0) })
        case .object(let members): self = .object(.init(members.mapValues { JSON($0) }))
        }
    }
}

extension BTFValue {
    /// What a request says.
    init(_ json: JSONValue) {
        switch json {
        case .null: self = .null
        case .boolean(let value): self = .boolean(value)
        case .integer(let value): self = .integer(value)
        case .unsigned(let value): self = .unsigned(value)
        case .number(let value): self = .number(value)
        case .string(let value): self = .string(value)
        case .array(let values): self = .list(values.map { BTFValue($0) })
        case .object(let members): self = .object(members.mapValues { BTFValue($0) })
        }
    }
}

extension JSONValue {
    init(_ value: BTFValue) {
        switch value {
        case .null: self = .null
        case .boolean(let value): self = .boolean(value)
        case .integer(let value): self = .integer(value)
        case .unsigned(let value): self = .unsigned(value)
        // JSON has no form for infinities.
        case .number(let value): self = value.isFinite ? .number(value) : .string("\(value)")
        case .string(let value): self = .string(value)
        case .list(let values): self = .array(values.map { JSONValue($0) })
        case .object(let members): self = .object(members.mapValues { JSONValue($0) })
        }
    }
}
