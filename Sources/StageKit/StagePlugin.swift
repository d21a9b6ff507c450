// SPDX-License-Identifier: Apache-2.0

/// A stage plugin: turns a configuration into a plan that the manager loads into the kernel.
///
/// A plugin is an executable with `@main struct MyStage: StagePlugin`; StageKit gives it `main`, which speaks the
/// protocol of `docs/plugin-protocol.md` on standard input and output. It never touches the kernel, and runs
/// without privileges.
public protocol StagePlugin: Sendable {
    /// What an operator writes under `config:`. Unknown keys are errors, see ``StrictDecoding``.
    associatedtype Configuration: Codable & Sendable

    /// Who this plugin is and where its stage can stand.
    static var description: StageDescription { get }

    init()

    /// Turns a configuration into a plan. Pure: the same input gives the same plan.
    /// - Throws: ``StageError`` for a configuration that cannot work; the operator is shown its path and message.
    func plan(_ configuration: Configuration, in context: PlanContext) throws -> StagePlan

    /// Says what becomes of a state map whose layout differs between the live version and this one.
    /// The default refuses, so that state is never lost silently.
    func migrate(_ request: MigrationRequest) throws -> Migration

    /// Changes the live stage by entries of the plan's ``StagePlan/live`` maps, as `sluicectl rule` asks. Pure, and quick:
    /// it is given neither the configuration nor the plan. The default refuses.
    /// - Throws: ``StageError`` for what cannot be done; nothing is changed then.
    func change(_ request: ChangeRequest) throws -> StageChange

    /// Shows something of the live stage. Pure. The default refuses.
    func inspect(_ request: InspectRequest) throws -> StageTable

    /// Works while the stage is live (health checks, automatic mitigation); only called where
    /// ``StageDescription/runs`` is true. Returns when the manager closes the connection or the task is cancelled.
    func run(_ configuration: Configuration, in session: StageSession) async throws
}

extension StagePlugin {
    public func migrate(_ request: MigrationRequest) throws -> Migration { .refuse }

    public func change(_ request: ChangeRequest) throws -> StageChange {
        throw StageError("the stage takes no changes while it is live")
    }

    public func inspect(_ request: InspectRequest) throws -> StageTable {
        throw StageError("the stage has nothing to show while it is live")
    }

    public func run(_ configuration: Configuration, in session: StageSession) async throws {}
}
