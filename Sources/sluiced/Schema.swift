// SPDX-License-Identifier: Apache-2.0

import SluiceAPI

/// The type of a value in the API's document.
indirect enum Schema: Sendable {
    case string
    /// A string out of these.
    case oneOf([String])
    /// A signed 64-bit integer.
    case integer
    /// An unsigned 64-bit integer, as packet counters are.
    case counter
    case number
    case boolean
    case array(Schema)
    /// Any JSON value.
    case any
    /// An object whose keys are data.
    case map(Schema)
    /// One of ``ObjectSchema/all``, by name.
    case object(String)

    var json: JSONValue {
        switch self {
        case .string: ["type": "string"]
        case .oneOf(let values): ["type": "string", "enum": .array(values.map(JSONValue.string))]
        case .integer: ["type": "integer", "format": "int64"]
        case .counter: ["type": "integer", "format": "uint64", "minimum": 0]
        case .number: ["type": "number"]
        case .boolean: ["type": "boolean"]
        case .array(let element): ["type": "array", "items": element.json]
        case .any: [:]
        case .map(let value): ["type": "object", "additionalProperties": value.json]
        case .object(let name): ["$ref": .string("#/components/schemas/\(name)")]
        }
    }
}

/// An object of the API's document; ``ObjectSchema/all`` has them all.
struct ObjectSchema: Sendable {
    struct Property: Sendable {
        var name: String
        var schema: Schema
        /// Left out of the JSON when it has no value.
        var isOptional: Bool
        var description: String

        static func needed(_ name: String, _ schema: Schema, _ description: String) -> Property {
            Property(name: name, schema: schema, isOptional: false, description: description)
        }

        static func optional(_ name: String, _ schema: Schema, _ description: String) -> Property {
            Property(name: name, schema: schema, isOptional: true, description: description)
        }
    }

    var name: String
    var description: String
    var properties: [Property]

    init(_ name: String, _ description: String, _ properties: [Property]) {
        self.name = name
        self.description = description
        self.properties = properties
    }

    var json: JSONValue {
        var properties: [String: JSONValue] = [:]
        for property in self.properties {
            // OpenAPI 3.1 takes a description beside a $ref.
            guard case .object(var schema) = property.schema.json else { continue }
            schema["description"] = .string(property.description)
            properties[property.name] = .object(schema)
        }
        return [
            "type": "object", "description": .string(description), "properties": .object(properties),
            "required": .array(self.properties.filter { !$0.isOptional }.map { .string($0.name) }),
            "additionalProperties": false,
        ]
    }
}
