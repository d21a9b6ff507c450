// SPDX-License-Identifier: Apache-2.0

/// Who asks, as the kernel says (`SO_PEERCRED`), never as the request says.
public struct Caller: Sendable, Equatable {
    public var uid: UInt32
    public var pid: Int32
    /// For records: `root (uid 0)`.
    public var name: String

    public init(uid: UInt32, pid: Int32, name: String) {
        self.uid = uid
        self.pid = pid
        self.name = name
    }
}

/// All that the manager can be asked, a method an endpoint. Implemented by `SluiceCore.Manager`; every failure is an
/// ``APIErrorBody``.
public protocol ManagerService: Sendable {
    func version() async -> VersionInfo
    func chains() async throws -> [ChainStatus]
    func chain(_ hook: String) async throws -> ChainStatus
    /// What is on interfaces and cgroups, whoever attached it.
    func programs() async throws -> ProgramReport
    func history(_ hook: String) async throws -> [GenerationRecord]
    /// What differs between two generations; nil for the live one, and the one that was live before it.
    func difference(_ hook: String, from: Int?, to: Int?) async throws -> GenerationDiff
    /// The newest events of a hook, oldest first, at most `limit`.
    func events(of hook: String, limit: Int) async throws -> [Event]
    func stats(_ hook: String) async throws -> ChainStats
    func plugins() async throws -> [PluginInfo]
    func plan(_ request: PlanRequest) async throws -> PlanReport
    func apply(_ request: ApplyRequest, by caller: Caller) async throws -> ChangeReport
    func rollback(_ hook: String, _ request: RollbackRequest, by caller: Caller) async throws -> ChangeReport
    func upgrade(_ hook: String, _ request: UpgradeRequest, by caller: Caller) async throws -> ChangeReport
    func promoteCanary(_ hook: String, _ request: CanaryEndRequest, by caller: Caller) async throws -> ChangeReport
    func abortCanary(_ hook: String, _ request: CanaryEndRequest, by caller: Caller) async throws -> ChangeReport
    func detach(_ hook: String, _ request: DetachRequest, by caller: Caller) async throws -> ChangeReport
    /// Makes the program that others attached to a hook the first stage of its chain.
    func adopt(_ hook: String, _ request: AdoptRequest, by caller: Caller) async throws -> ChangeReport
    /// What the kernel and the machine give.
    func probe() async throws -> ProbeReport
    func doctor() async throws -> DoctorReport
    /// Mends what `doctor` finds and may be mended without asking.
    func repair(by caller: Caller) async throws -> DoctorReport
    func gc(by caller: Caller) async throws -> GCReport
    /// The maps of a stage, in the live generation unless told otherwise.
    func maps(_ hook: String, stage: String, generation: Int?) async throws -> StageMaps
    /// At most `limit` entries of a stage's map.
    func map(_ hook: String, stage: String, map: String, generation: Int?, limit: Int) async throws -> MapDump
    func updateMap(
        _ hook: String, stage: String, map: String, _ request: MapUpdateRequest, by caller: Caller
    ) async throws -> MapChange
    func deleteFromMap(
        _ hook: String, stage: String, map: String, _ request: MapDeleteRequest, by caller: Caller
    ) async throws -> MapChange
    /// Has the plugin of a live stage change it.
    func change(
        _ hook: String, stage: String, _ request: StageChangeRequest, by caller: Caller
    ) async throws -> StageChangeReport
    /// Has the plugin of a live stage show something of it.
    func inspect(_ hook: String, stage: String, _ request: StageInspectRequest) async throws -> StageInspection
    /// Asks the plugin of a live stage while it runs; it has five seconds.
    func ask(_ hook: String, stage: String, _ request: StageAskRequest) async throws -> StageInspection
    /// The sockets of a group.
    func sockets(_ hook: String) async throws -> SocketGroupReport
    /// The kept events after `since`, oldest first, at most `limit`.
    func events(since: Int64, limit: Int) async throws -> [Event]
    /// Every event from now on, progress included.
    func liveEvents() async -> AsyncStream<Event>
    /// Whether anything needs the daemon to stay: a change under way, a live stage with `run` work.
    func isBusy() async -> Bool
}
