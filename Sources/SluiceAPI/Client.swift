// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
import NIOCore
import NIOHTTP1

/// The client of `sluiced`: a method an endpoint, a connection a request. Every failure is an ``APIErrorBody``: the
/// daemon's own, or `unreachable` when nobody answers.
public struct SluiceClient: Sendable {
    /// Where the installed daemon listens.
    public static let defaultSocket = "/run/sluice/sluiced.sock"

    /// The path of the daemon's Unix socket.
    public let socket: String

    public init(socket: String = SluiceClient.defaultSocket) {
        self.socket = socket
    }

    /// `GET /v1/version`
    public func version() async throws -> VersionInfo { try await get("/v1/version") }

    /// `GET /v1/chains`
    public func chains() async throws -> [ChainStatus] { try await get("/v1/chains") }

    /// `GET /v1/chains/{hook}`
    public func chain(_ hook: String) async throws -> ChainStatus { try await get(path(hook)) }

    /// `GET /v1/programs`
    public func programs() async throws -> ProgramReport { try await get("/v1/programs") }

    /// `GET /v1/chains/{hook}/history`
    public func history(_ hook: String) async throws -> [GenerationRecord] { try await get(path(hook, "history")) }

    /// `GET /v1/chains/{hook}/diff`: between two generations; nil for the live one, and the one before it.
    public func difference(_ hook: String, from: Int? = nil, to: Int? = nil) async throws -> GenerationDiff {
        let query = [from.map { "from=\($0)" }, to.map { "to=\($0)" }].compactMap(\.self).joined(separator: "&")
        return try await get(path(hook, "diff") + (query.isEmpty ? "" : "?" + query))
    }

    /// `GET /v1/chains/{hook}/events`: the newest of one hook, oldest first.
    public func events(of hook: String, limit: Int = 100) async throws -> [Event] {
        try await get(path(hook, "events") + "?limit=\(limit)")
    }

    /// `GET /v1/probe`
    public func probe() async throws -> ProbeReport { try await get("/v1/probe") }

    /// `GET /v1/chains/{hook}/stats`
    public func stats(_ hook: String) async throws -> ChainStats { try await get(path(hook, "stats")) }

    /// `GET /v1/chains/{hook}/sockets`
    public func sockets(_ hook: String) async throws -> SocketGroupReport { try await get(path(hook, "sockets")) }

    /// `GET /v1/plugins`
    public func plugins() async throws -> [PluginInfo] { try await get("/v1/plugins") }

    /// `GET /v1/doctor`
    public func doctor() async throws -> DoctorReport { try await get("/v1/doctor") }

    /// `GET /v1/events`: the kept events after `since`, oldest first, at most `limit`.
    public func events(since: Int64 = 0, limit: Int = 100) async throws -> [Event] {
        try await get("/v1/events?since=\(since)&limit=\(limit)")
    }

    /// `POST /v1/plan`
    public func plan(_ request: PlanRequest) async throws -> PlanReport { try await post("/v1/plan", request) }

    /// `POST /v1/apply`
    public func apply(_ request: ApplyRequest) async throws -> ChangeReport { try await post("/v1/apply", request) }

    /// `POST /v1/chains/{hook}/rollback`
    public func rollback(_ hook: String, _ request: RollbackRequest = .init()) async throws -> ChangeReport {
        try await post(path(hook, "rollback"), request)
    }

    /// `POST /v1/chains/{hook}/upgrade`
    public func upgrade(_ hook: String, _ request: UpgradeRequest) async throws -> ChangeReport {
        try await post(path(hook, "upgrade"), request)
    }

    /// `POST /v1/chains/{hook}/canary/promote`
    public func promoteCanary(_ hook: String, _ request: CanaryEndRequest = .init()) async throws -> ChangeReport {
        try await post(path(hook, "canary/promote"), request)
    }

    /// `POST /v1/chains/{hook}/canary/abort`
    public func abortCanary(_ hook: String, _ request: CanaryEndRequest = .init()) async throws -> ChangeReport {
        try await post(path(hook, "canary/abort"), request)
    }

    /// `POST /v1/chains/{hook}/detach`
    public func detach(_ hook: String, _ request: DetachRequest = .init()) async throws -> ChangeReport {
        try await post(path(hook, "detach"), request)
    }

    /// `POST /v1/chains/{hook}/adopt`
    public func adopt(_ hook: String, _ request: AdoptRequest) async throws -> ChangeReport {
        try await post(path(hook, "adopt"), request)
    }

    /// `GET /v1/chains/{hook}/stages/{stage}/maps`
    public func maps(_ hook: String, stage: String, generation: Int? = nil) async throws -> StageMaps {
        try await get(path(hook, stage: stage, "maps") + (generation.map { "?generation=\($0)" } ?? ""))
    }

    /// `GET /v1/chains/{hook}/stages/{stage}/maps/{map}`
    public func map(
        _ hook: String, stage: String, map: String, generation: Int? = nil, limit: Int = 1000
    ) async throws -> MapDump {
        let query = "?limit=\(limit)" + (generation.map { "&generation=\($0)" } ?? "")
        return try await get(path(hook, stage: stage, map: map) + query)
    }

    /// `POST /v1/chains/{hook}/stages/{stage}/maps/{map}`
    public func updateMap(
        _ hook: String, stage: String, map: String, _ request: MapUpdateRequest
    ) async throws -> MapChange {
        try await post(path(hook, stage: stage, map: map), request)
    }

    /// `POST /v1/chains/{hook}/stages/{stage}/maps/{map}/delete`
    public func deleteFromMap(
        _ hook: String, stage: String, map: String, _ request: MapDeleteRequest
    ) async throws -> MapChange {
        try await post(path(hook, stage: stage, map: map) + "/delete", request)
    }

    /// `POST /v1/chains/{hook}/stages/{stage}/change`
    public func change(
        _ hook: String, stage: String, _ request: StageChangeRequest
    ) async throws -> StageChangeReport {
        try await post(path(hook, stage: stage, "change"), request)
    }

    /// `POST /v1/chains/{hook}/stages/{stage}/inspect`
    public func inspect(
        _ hook: String, stage: String, _ request: StageInspectRequest
    ) async throws -> StageInspection {
        try await post(path(hook, stage: stage, "inspect"), request)
    }

    /// `POST /v1/chains/{hook}/stages/{stage}/ask`
    public func ask(_ hook: String, stage: String, _ request: StageAskRequest) async throws -> StageInspection {
        try await post(path(hook, stage: stage, "ask"), request)
    }

    /// `POST /v1/doctor`: mends what may be mended without asking.
    public func repair() async throws -> DoctorReport { try decode(try await send(.POST, "/v1/doctor")) }

    /// `POST /v1/gc`
    public func gc() async throws -> GCReport {
        try decode(try await send(.POST, "/v1/gc"))
    }

    /// `GET /v1/events` as a stream: the kept events after `since` (nil: none of them), then each as it happens,
    /// progress included, until the daemon stops or the task is cancelled.
    public func liveEvents(since: Int64? = nil) -> AsyncThrowingStream<Event, any Error> {
        let target = "/v1/events" + (since.map { "?since=\($0)" } ?? "")
        return AsyncThrowingStream { continuation in
            let task = Task {
                do {
                    var parser = ServerSentEventParser()
                    try await exchange(.GET, target, accept: "text/event-stream") { piece in
                        for data in parser.feed(piece) {
                            continuation.yield(try JSONDecoder().decode(Event.self, from: Data(data)))
                        }
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    private func path(_ hook: String, _ verb: String? = nil) -> String {
        "/v1/chains/" + PathComponent.encode(hook) + (verb.map { "/" + $0 } ?? "")
    }

    private func path(_ hook: String, stage: String, _ verb: String = "maps", map: String? = nil) -> String {
        path(hook, "stages/") + PathComponent.encode(stage) + "/" + verb
            + (map.map { "/" + PathComponent.encode($0) } ?? "")
    }

    private func get<Answer: Decodable>(_ target: String) async throws -> Answer {
        try decode(try await send(.GET, target))
    }

    private func post<Answer: Decodable>(_ target: String, _ body: some Encodable) async throws -> Answer {
        try decode(try await send(.POST, target, body: [UInt8](JSONEncoder().encode(body))))
    }

    private func send(_ method: HTTPMethod, _ target: String, body: [UInt8] = []) async throws -> [UInt8] {
        var answer: [UInt8] = []
        try await exchange(method, target, body: body) { answer += $0.readableBytesView }
        return answer
    }

    private func decode<Answer: Decodable>(_ bytes: [UInt8]) throws -> Answer {
        do {
            return try JSONDecoder().decode(Answer.self, from: Data(bytes))
        } catch {
            throw APIErrorBody(
                code: "bad-answer",
                message: "sluiced at \"\(socket)\" gave an answer this client cannot read; are both of one version?",
                detail: "\(error)")
        }
    }
}
