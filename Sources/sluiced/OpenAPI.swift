// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import SluiceAPI

/// The OpenAPI 3.1 document, made from ``Endpoint/all`` and ``ObjectSchema/all``.
enum OpenAPI {
    static let document: JSONValue = [
        "openapi": "3.1.0",
        "info": [
            "title": "Sluice", "version": .string(SluiceVersion.current),
            "description": .string(
                "The API of sluiced, on its Unix socket. The kernel says who asks (SO_PEERCRED): root and the group "
                    + "`sluice` may change, the group `sluice-view` may read, and nobody else gets an answer but 403. "
                    + "Every answer that is not 2xx has an Error for its body."),
            "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
        ],
        // A Unix socket has no host: clients put what they like there.
        "servers": [["url": "http://localhost", "description": "/run/sluice/sluiced.sock"]],
        "paths": .object(
            Dictionary(grouping: Endpoint.all, by: \.path).mapValues { endpoints in
                .object(
                    .init(
                        uniqueKeysWithValues: endpoints.map { ($0.method.rawValue.lowercased(), operation($0)) }))
            }),
        "components": [
            "schemas": .object(.init(uniqueKeysWithValues: ObjectSchema.all.map { ($0.name, $0.json) })),
            "responses": [
                "Error": ["description": "Refused or failed.", "content": json(.object("Error"))]
            ],
        ],
    ]

    private static let pathParameters = [
        ("hook", "`xdp:eth0`, `xdp:eth0%40edge`"), ("stage", "a stage's name"), ("map", "a map's name in C"),
    ]

    private static func operation(_ endpoint: Endpoint) -> JSONValue {
        var content = json(endpoint.answer)
        if endpoint.streams, case .object(var types) = content {
            types["text/event-stream"] = [
                "schema": ["type": "string", "description": "`id`, `event` (the action) and `data` (an Event, JSON)."]
            ]
            content = .object(types)
        }
        var operation: [String: JSONValue] = [
            "operationId": .string(id(endpoint)), "summary": .string(endpoint.summary),
            "description": endpoint.access == .change
                ? "Needs root or the group `sluice`." : "Needs root, the group `sluice` or the group `sluice-view`.",
            "responses": [
                "200": ["description": "Done.", "content": content],
                "default": ["$ref": "#/components/responses/Error"],
            ],
        ]
        var parameters: [JSONValue] = endpoint.query.map { parameter in
            var schema: [String: JSONValue] = [
                "type": "integer", "format": "int64", "minimum": .integer(parameter.range.lowerBound),
                "maximum": .integer(parameter.range.upperBound),
            ]
            schema["default"] = parameter.fallback.map { .integer($0) }
            return [
                "name": .string(parameter.name), "in": "query", "description": .string(parameter.description),
                "schema": .object(schema),
            ]
        }
        for (name, description) in pathParameters where endpoint.path.contains("{\(name)}") {
            parameters.append([
                "name": .string(name), "in": "path", "required": true, "schema": ["type": "string"],
                "description": .string("Percent-encoded: \(description)."),
            ])
        }
        if !parameters.isEmpty { operation["parameters"] = .array(parameters) }
        if let body = endpoint.body {
            operation["requestBody"] = ["required": true, "content": json(.object(body))]
        }
        return .object(operation)
    }

    /// `getChains`, `getChain`, `postChainRollback`, `getChainStageMaps`: from method and path, so it is as stable as they are.
    private static func id(_ endpoint: Endpoint) -> String {
        let words = endpoint.path.replacing("/chains/{hook}", with: "/chain").replacing(
            "/stages/{stage}", with: "/stage"
        )
        .replacing("/maps/{map}", with: "/map").replacing(".", with: "/")
        .split(separator: "/").drop { $0 == "v1" }
        return endpoint.method.rawValue.lowercased() + words.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }

    private static func json(_ schema: Schema) -> JSONValue {
        ["application/json": ["schema": schema.json]]
    }
}
