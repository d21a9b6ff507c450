// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import Synchronization

/// A manager that gives ``Samples`` and remembers what it was asked: the API's only seam to what is behind it.
final class ScriptedManager: ManagerService {
    struct State {
        var calls: [String] = []
        var callers: [Caller] = []
        /// What live stages were asked.
        var asked: [JSONValue] = []
        var kept: [Event] = []
        var listeners: [AsyncStream<Event>.Continuation] = []
        var failure: (any Error)?
        var isBusy = false
        var gate: AsyncStream<Void>?
    }

    let state = Mutex(State())

    var calls: [String] { state.withLock(\.calls) }
    var asked: [JSONValue] { state.withLock(\.asked) }

    func fail(with error: (any Error)?) { state.withLock { $0.failure = error } }

    /// Keeps an event, unless it is progress, and gives it to who listens.
    func emit(_ event: Event) {
        state.withLock { state in
            if event.outcome != "progress" { state.kept.append(event) }
            for listener in state.listeners { listener.yield(event) }
        }
    }

    /// Returns once so many listen.
    func waitForListeners(_ count: Int) async throws {
        while state.withLock({ $0.listeners.count }) < count { try await Task.sleep(for: .milliseconds(5)) }
    }

    private func answer<Answer: Sendable>(_ call: String, _ answer: Answer, by caller: Caller? = nil) throws -> Answer {
        try state.withLock { state in
            state.calls.append(call)
            if let caller { state.callers.append(caller) }
            if let failure = state.failure { throw failure }
            return answer
        }
    }

    func version() async -> VersionInfo { Samples.version }
    func chains() async throws -> [ChainStatus] { try answer("chains", [Samples.chain, Samples.emptyChain]) }
    func chain(_ hook: String) async throws -> ChainStatus { try answer("chain \(hook)", Samples.chain) }
    func programs() async throws -> ProgramReport { try answer("programs", Samples.programs) }
    func history(_ hook: String) async throws -> [GenerationRecord] {
        try answer("history \(hook)", [Samples.generation])
    }
    func difference(_ hook: String, from: Int?, to: Int?) async throws -> GenerationDiff {
        try answer("diff \(hook) \(from ?? -1) \(to ?? -1)", Samples.diff)
    }
    func events(of hook: String, limit: Int) async throws -> [Event] {
        try answer("events of \(hook) \(limit)", [Samples.event(1, outcome: "failed")])
    }
    func probe() async throws -> ProbeReport { try answer("probe", Samples.probe) }
    func stats(_ hook: String) async throws -> ChainStats { try answer("stats \(hook)", Samples.stats) }
    func plugins() async throws -> [PluginInfo] { try answer("plugins", [Samples.plugin]) }
    func plan(_ request: PlanRequest) async throws -> PlanReport {
        try answer("plan \(request.source): \(request.spec)", Samples.plan)
    }
    func apply(_ request: ApplyRequest, by caller: Caller) async throws -> ChangeReport {
        if let gate = state.withLock(\.gate) {
            state.withLock { $0.calls.append("apply begins") }
            for await _ in gate {}
        }
        return try answer(
            "apply \(request.source): \(request.spec) \(request.message) \(request.replace)", Samples.change, by: caller
        )
    }
    func rollback(_ hook: String, _ request: RollbackRequest, by caller: Caller) async throws -> ChangeReport {
        try answer("rollback \(hook) \(request.to ?? -1) \(request.message)", Samples.change, by: caller)
    }
    func upgrade(_ hook: String, _ request: UpgradeRequest, by caller: Caller) async throws -> ChangeReport {
        let canary = request.canary.map { " \($0.shares) \($0.seconds) \($0.abortIf ?? [])" } ?? ""
        return try answer(
            "upgrade \(hook) \(request.stage) \(request.version ?? "newest")\(canary)", Samples.change, by: caller)
    }
    func promoteCanary(_ hook: String, _ request: CanaryEndRequest, by caller: Caller) async throws -> ChangeReport {
        try answer("promote \(hook) \(request.message)", Samples.change, by: caller)
    }
    func abortCanary(_ hook: String, _ request: CanaryEndRequest, by caller: Caller) async throws -> ChangeReport {
        try answer("abort \(hook) \(request.message)", Samples.change, by: caller)
    }
    func detach(_ hook: String, _ request: DetachRequest, by caller: Caller) async throws -> ChangeReport {
        try answer("detach \(hook) \(request.message) \(request.restore)", Samples.change, by: caller)
    }
    func adopt(_ hook: String, _ request: AdoptRequest, by caller: Caller) async throws -> ChangeReport {
        try answer(
            "adopt \(hook) \(request.stage) \(request.object) \(request.proceedOn) \(request.message)", Samples.change,
            by: caller)
    }
    func sockets(_ hook: String) async throws -> SocketGroupReport { try answer("sockets \(hook)", Samples.sockets) }
    func doctor() async throws -> DoctorReport { try answer("doctor", Samples.doctor) }
    func repair(by caller: Caller) async throws -> DoctorReport { try answer("repair", Samples.doctor, by: caller) }
    func gc(by caller: Caller) async throws -> GCReport { try answer("gc", Samples.garbage, by: caller) }
    func maps(_ hook: String, stage: String, generation: Int?) async throws -> StageMaps {
        try answer("maps \(hook) \(stage) \(generation ?? -1)", Samples.maps)
    }
    func map(_ hook: String, stage: String, map: String, generation: Int?, limit: Int) async throws -> MapDump {
        try answer("map \(hook) \(stage) \(map) \(generation ?? -1) \(limit)", Samples.dump)
    }
    func updateMap(
        _ hook: String, stage: String, map: String, _ request: MapUpdateRequest, by caller: Caller
    ) async throws -> MapChange {
        try answer("update \(hook) \(stage) \(map) \(request)", Samples.mapChange, by: caller)
    }
    func deleteFromMap(
        _ hook: String, stage: String, map: String, _ request: MapDeleteRequest, by caller: Caller
    ) async throws -> MapChange {
        try answer("delete \(hook) \(stage) \(map) \(request)", Samples.mapChange, by: caller)
    }
    func change(
        _ hook: String, stage: String, _ request: StageChangeRequest, by caller: Caller
    ) async throws -> StageChangeReport {
        state.withLock { $0.asked.append(request.request) }
        return try answer("change \(hook) \(stage) \(request)", Samples.stageChange, by: caller)
    }
    func inspect(_ hook: String, stage: String, _ request: StageInspectRequest) async throws -> StageInspection {
        state.withLock { $0.asked.append(request.request) }
        return try answer("inspect \(hook) \(stage) \(request)", Samples.inspection)
    }
    func ask(_ hook: String, stage: String, _ request: StageAskRequest) async throws -> StageInspection {
        state.withLock { $0.asked.append(request.question) }
        return try answer("ask \(hook) \(stage) \(request)", Samples.inspection)
    }
    func events(since: Int64, limit: Int) async throws -> [Event] {
        try answer(
            "events \(since) \(limit)", state.withLock(\.kept).filter { $0.id > since }.prefix(limit).map(\.self))
    }
    func liveEvents() async -> AsyncStream<Event> {
        let (stream, continuation) = AsyncStream<Event>.makeStream()
        state.withLock { $0.listeners.append(continuation) }
        return stream
    }
    func isBusy() async -> Bool { state.withLock(\.isBusy) }
}
