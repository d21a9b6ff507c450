// SPDX-License-Identifier: Apache-2.0

import SluiceAPI

extension Endpoint {
    /// What the plugin of a live stage can be asked.
    static let live: [Endpoint] = [
        .write(
            "/v1/chains/{hook}/stages/{stage}/change", "Have a live stage's plugin change it",
            body: "StageChangeRequest", answer: .object("StageChangeReport")
        ) {
            .json(try await $0.manager.change($0.hook, stage: $0.stage, $0.body.decode(), by: $0.caller))
        },
        .write(
            "/v1/chains/{hook}/stages/{stage}/inspect", "Have a live stage's plugin show something of it",
            access: .view, body: "StageInspectRequest", answer: .object("StageInspection")
        ) {
            .json(try await $0.manager.inspect($0.hook, stage: $0.stage, $0.body.decode()))
        },
        .write(
            "/v1/chains/{hook}/stages/{stage}/ask", "Ask a live stage's plugin while it runs", access: .view,
            body: "StageAskRequest", answer: .object("StageInspection")
        ) {
            .json(try await $0.manager.ask($0.hook, stage: $0.stage, $0.body.decode()))
        },
    ]
}

extension ObjectSchema {
    static let live: [ObjectSchema] = [
        .init(
            "StageChangeRequest", "Asks the plugin of a live stage to change it.",
            [
                .needed("request", .any, "What is asked for; its form is the plugin's."),
                .needed("message", .string, "Kept in the audit trail; may be empty."),
            ]),
        .init(
            "StageChangeReport", "What became of a live stage.",
            [
                .needed("hook", .string, "The chain's hook."),
                .needed("stage", .string, "The stage."),
                .needed("generation", .integer, "The live generation."),
                .needed("lines", .array(.string), "What was done, a line each."),
                .needed("notes", .array(.string), "What an operator ought to know."),
                .needed("timings", .array(.object("Timing")), "How long each step took, in order."),
            ]),
        .init(
            "StageInspectRequest", "Asks the plugin of a live stage to show something of it.",
            [.needed("request", .any, "What is asked for; its form is the plugin's.")]),
        .init(
            "StageAskRequest", "Asks the plugin of a live stage while it runs.",
            [.needed("question", .any, "What is asked; its form is the plugin's.")]),
        .init(
            "StageInspection", "What a plugin shows of its live stage.",
            [
                .needed("hook", .string, "The chain's hook."),
                .needed("stage", .string, "The stage."),
                .needed("generation", .integer, "The live generation."),
                .needed("columns", .array(.string), "The table's columns."),
                .needed("rows", .array(.array(.any)), "Its rows: a string, an integer or null for each column."),
                .needed("notes", .array(.string), "What an operator ought to know of it."),
            ]),
    ]
}
