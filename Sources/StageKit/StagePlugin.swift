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

    /// Works while the stage is live (health checks, automatic mitigation); only called where
    /// ``StageDescription/runs`` is true. Returns when the manager closes the connection or the task is cancelled.
    func run(_ configuration: Configuration, in session: StageSession) async throws
}

extension StagePlugin {
    public func migrate(_ request: MigrationRequest) throws -> Migration { .refuse }
    public func run(_ configuration: Configuration, in session: StageSession) async throws {}
}
