// SPDX-License-Identifier: Apache-2.0

import SluiceAPI

extension Endpoint {
    /// The maps of stages.
    static let maps: [Endpoint] = [
        .read(
            "/v1/chains/{hook}/stages/{stage}/maps", "A stage's maps", query: [generation],
            answer: .object("StageMaps")
        ) {
            .json(
                try await $0.manager.maps($0.hook, stage: $0.stage, generation: $0.query["generation"].map(Int.init)))
        },
        .read(
            "/v1/chains/{hook}/stages/{stage}/maps/{map}", "What is in a map, by its types",
            query: [
                generation,
                .init(name: "limit", range: 1...100_000, fallback: 1000, description: "At most so many entries."),
            ], answer: .object("MapDump")
        ) {
            .json(
                try await $0.manager.map(
                    $0.hook, stage: $0.stage, map: $0.map, generation: $0.query["generation"].map(Int.init),
                    limit: Int($0.query["limit"] ?? 1000)))
        },
        .write(
            "/v1/chains/{hook}/stages/{stage}/maps/{map}", "Set entries of a map", body: "MapUpdateRequest",
            answer: .object("MapChange")
        ) {
            .json(
                try await $0.manager.updateMap(
                    $0.hook, stage: $0.stage, map: $0.map, $0.body.decode(), by: $0.caller))
        },
        .write(
            "/v1/chains/{hook}/stages/{stage}/maps/{map}/delete", "Remove entries of a map", body: "MapDeleteRequest",
            answer: .object("MapChange")
        ) {
            .json(
                try await $0.manager.deleteFromMap(
                    $0.hook, stage: $0.stage, map: $0.map, $0.body.decode(), by: $0.caller))
        },
    ]

    private static let generation = QueryParameter(
        name: "generation", range: 1...Int64(Int32.max), fallback: nil,
        description: "A generation that is kept; without it, the live one.")
}

extension ObjectSchema {
    static let maps: [ObjectSchema] = [
        .init(
            "StageMaps", "The maps of one stage, in one generation of its chain.",
            [
                .needed("hook", .string, "The chain's hook."),
                .needed("stage", .string, "The stage."),
                .needed("generation", .integer, "The generation."),
                .needed("maps", .array(.object("MapInfo")), "In the object's order."),
            ]),
        .init(
            "MapInfo", "One map of a stage.",
            [
                .needed("name", .string, "Its name in C."),
                .needed("type", .string, "Its type, as libbpf names it: `lru_hash`."),
                .optional("keyType", .string, "The type of its keys, with what is in it."),
                .optional("valueType", .string, "The type of its values; one CPU's, for a per-CPU map."),
                .needed("maxEntries", .integer, "How many it can hold."),
                .optional("entries", .integer, "How many it has; absent for what has none, such as a ring buffer."),
                .needed("more", .boolean, "Whether it has more than `entries`, where the count stopped."),
                .needed(
                    "role", .oneOf(["state", "configuration", "data", "manager"]),
                    "`state` outlives generations; `data`: an object's global variables; `manager`: Sluice's own."),
                .needed("frozen", .boolean, "Whether nobody can change it from outside any more."),
            ]),
        .init(
            "MapDump", "What is in a map. Not a snapshot: programs go on changing it while it is read.",
            [
                .needed("hook", .string, "The chain's hook."),
                .needed("stage", .string, "The stage."),
                .needed("generation", .integer, "The generation."),
                .needed("map", .object("MapInfo"), "The map; `more` says whether it has more than was asked for."),
                .needed("entries", .array(.object("TypedEntry")), "Its entries."),
            ]),
        .init(
            "TypedEntry", "One entry of a map, by the types of its key and value.",
            [
                .needed("key", .any, "The key."),
                .optional("value", .any, "The value; of a per-CPU map the sum, where it has 64-bit counters only."),
                .optional("cpus", .array(.any), "Of a per-CPU map, each possible CPU's value."),
            ]),
        .init(
            "MapUpdateRequest", "Asks for entries of a map to be set.",
            [
                .needed(
                    "entries", .array(.object("TypedEntry")),
                    "For a per-CPU map `cpus`, or a `value` that every CPU gets."),
                .optional("generation", .integer, "A generation that is kept; without it, the live one."),
                .needed("force", .boolean, "Whether a plugin's state may be changed."),
                .needed("message", .string, "Kept in the audit trail; may be empty."),
            ]),
        .init(
            "MapDeleteRequest", "Asks for entries of a map to be removed.",
            [
                .needed("keys", .array(.any), "Their keys."),
                .optional("generation", .integer, "A generation that is kept; without it, the live one."),
                .needed("force", .boolean, "Whether a plugin's state may be changed."),
                .needed("message", .string, "Kept in the audit trail; may be empty."),
            ]),
        .init(
            "MapChange", "What was done to a map.",
            [
                .needed("hook", .string, "The chain's hook."),
                .needed("stage", .string, "The stage."),
                .needed("map", .string, "The map."),
                .needed("generation", .integer, "The generation."),
                .needed("entries", .integer, "How many entries were set or removed."),
                .needed("notes", .array(.string), "What an operator ought to know."),
            ]),
    ]
}
