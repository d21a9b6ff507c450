// SPDX-License-Identifier: Apache-2.0

import SluiceAPI

extension Endpoint {
    /// What somebody asks who wants to know why.
    static let inquiries: [Endpoint] = [
        .read(
            "/v1/chains/{hook}/diff", "What differs between two generations of a chain",
            query: [
                generation("from", "the one that was live before"), generation("to", "the live one"),
            ], answer: .object("GenerationDiff")
        ) {
            .json(
                try await $0.manager.difference(
                    $0.hook, from: $0.query["from"].map(Int.init), to: $0.query["to"].map(Int.init)))
        },
        .read(
            "/v1/chains/{hook}/events", "The newest of the audit trail on one hook, oldest first",
            query: [.init(name: "limit", range: 1...1000, fallback: 100, description: "At most so many.")],
            answer: .array(.object("Event"))
        ) {
            .json(try await $0.manager.events(of: $0.hook, limit: Int($0.query["limit"] ?? 100)))
        },
        .read("/v1/probe", "What the kernel and the machine give, tried out", answer: .object("ProbeReport")) {
            .json(try await $0.manager.probe())
        },
        .write(
            "/v1/doctor", "Mend what a check-up finds and may be mended without asking", answer: .object("DoctorReport")
        ) {
            .json(try await $0.manager.repair(by: $0.caller))
        },
    ]

    private static func generation(_ name: String, _ fallback: String) -> QueryParameter {
        .init(
            name: name, range: 1...Int64(Int32.max), fallback: nil,
            description: "A generation's number; without it, \(fallback).")
    }
}

extension ObjectSchema {
    static let inquiries: [ObjectSchema] = [
        .init(
            "GenerationDiff", "What differs between two generations of a chain, as they were asked for.",
            [
                .needed("hook", .string, "The chain's hook."),
                .needed("from", .integer, "The generation compared with."),
                .needed("to", .integer, "The generation compared."),
                .needed("lines", .array(.string), "As a plan's: each starts with `+`, `-`, `~` or a space."),
            ]),
        .init(
            "ProbeReport", "What the kernel and the machine give, tried with the daemon's rights.",
            [
                .needed("kernel", .string, "`uname -r`."),
                .needed("items", .array(.object("ProbeItem")), "A thing tried each."),
            ]),
        .init(
            "ProbeItem", "One thing that was tried.",
            [
                .needed("group", .oneOf(["machine", "hook", "map", "feature"]), "What kind of thing."),
                .needed("name", .string, "Its name."),
                .needed("supported", .boolean, "Whether it is there."),
                .needed("required", .boolean, "Whether Sluice cannot do without."),
                .needed("reason", .string, "What it is good for; or why it is not there."),
                .optional("remedy", .string, "What to do about it, when it is not there."),
            ]),
    ]
}
