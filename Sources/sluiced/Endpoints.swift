// SPDX-License-Identifier: Apache-2.0

import SluiceAPI

extension Endpoint {
    /// The whole API.
    static let all: [Endpoint] = chains + maps + live + inquiries + programs + sockets

    private static let chains: [Endpoint] = [
        .read("/openapi.json", "This API as an OpenAPI 3.1 document", answer: .map(.string)) { _ in
            .json(OpenAPI.document)
        },
        .read("/v1/version", "Versions of daemon, API, plugin protocol and kernel", answer: .object("VersionInfo")) {
            .json(await $0.manager.version())
        },
        .read("/v1/chains", "Every chain, as it stands", answer: .array(.object("ChainStatus"))) {
            .json(try await $0.manager.chains())
        },
        .read("/v1/chains/{hook}", "One chain, as it stands", answer: .object("ChainStatus")) {
            .json(try await $0.manager.chain($0.hook))
        },
        .read(
            "/v1/chains/{hook}/history", "A chain's generations, newest first",
            answer: .array(.object("GenerationRecord"))
        ) {
            .json(try await $0.manager.history($0.hook))
        },
        .read("/v1/chains/{hook}/stats", "A live chain's counters", answer: .object("ChainStats")) {
            .json(try await $0.manager.stats($0.hook))
        },
        .read("/v1/plugins", "The installed plugins, a version each", answer: .array(.object("PluginInfo"))) {
            .json(try await $0.manager.plugins())
        },
        .read("/v1/doctor", "A check-up of kernel, pins, records and chains", answer: .object("DoctorReport")) {
            .json(try await $0.manager.doctor())
        },
        .read(
            "/v1/events",
            "The audit trail, oldest first; with `Accept: text/event-stream` a stream that goes on with what happens, "
                + "progress included, and resumes after `Last-Event-ID`",
            query: [
                .init(
                    name: "since", range: 0...Int64.max, fallback: 0,
                    description: "Only events with a higher id. A stream without it starts now."),
                .init(name: "limit", range: 1...1000, fallback: 100, description: "At most so many; not for a stream."),
            ], answer: .array(.object("Event")), streams: true
        ) { call in
            if call.wantsStream { return .events(after: call.resumeAfter) }
            return .json(
                try await call.manager.events(since: call.query["since"] ?? 0, limit: Int(call.query["limit"] ?? 100)))
        },
        .write(
            "/v1/plan", "What applying a spec would change", access: .view, body: "PlanRequest",
            answer: .object("PlanReport")
        ) {
            .json(try await $0.manager.plan($0.body.decode()))
        },
        .write(
            "/v1/apply", "Build, preflight and flip to what a spec asks for", body: "ApplyRequest",
            answer: .object("ChangeReport")
        ) {
            .json(try await $0.manager.apply($0.body.decode(), by: $0.caller))
        },
        .write(
            "/v1/chains/{hook}/rollback", "Flip back to a kept generation", body: "RollbackRequest",
            answer: .object("ChangeReport")
        ) {
            .json(try await $0.manager.rollback($0.hook, $0.body.decode(), by: $0.caller))
        },
        .write(
            "/v1/chains/{hook}/upgrade", "Move one stage to another version of its plugin", body: "UpgradeRequest",
            answer: .object("ChangeReport")
        ) {
            .json(try await $0.manager.upgrade($0.hook, $0.body.decode(), by: $0.caller))
        },
        .write(
            "/v1/chains/{hook}/canary/promote", "Give the candidate of a canary all of the traffic",
            body: "CanaryEndRequest", answer: .object("ChangeReport")
        ) {
            .json(try await $0.manager.promoteCanary($0.hook, $0.body.decode(), by: $0.caller))
        },
        .write(
            "/v1/chains/{hook}/canary/abort", "End a canary; the live generation has all of the traffic again",
            body: "CanaryEndRequest", answer: .object("ChangeReport")
        ) {
            .json(try await $0.manager.abortCanary($0.hook, $0.body.decode(), by: $0.caller))
        },
        .write(
            "/v1/chains/{hook}/detach", "Take a chain off its hook; its history stays", body: "DetachRequest",
            answer: .object("ChangeReport")
        ) {
            .json(try await $0.manager.detach($0.hook, $0.body.decode(), by: $0.caller))
        },
        .write("/v1/gc", "Remove what no chain needs any more", answer: .object("GCReport")) {
            .json(try await $0.manager.gc(by: $0.caller))
        },
    ]
}
