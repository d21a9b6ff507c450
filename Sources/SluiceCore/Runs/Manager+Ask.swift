// SPDX-License-Identifier: Apache-2.0

public import SluiceAPI
internal import StageKit

extension Manager {
    /// Asks the plugin of a live stage: while it runs, or of what is in its maps if it is none that runs.
    public func ask(_ hook: String, stage: String, _ request: StageAskRequest) async throws -> StageInspection {
        do {
            let id = try resolve(hook)
            guard let (run, generation) = try run(of: stage, on: id) else {
                return try await inspect(hook, stage: stage, StageInspectRequest(request: request.question))
            }
            let question = JSON(request.question)
            guard question.serialized().count <= Self.longestQuestion else {
                throw APIErrorBody(
                    code: "too-large", message: "a question has at most \(Self.longestQuestion) bytes of JSON")
            }
            let table: StageTable
            do {
                table = try await run.ask(question)
            } catch let error as StageError {
                throw APIErrorBody.refused("stage \"\(stage)\" does not answer: \(error)")
            } catch {
                throw APIErrorBody(code: "plugin-failed", message: "stage \"\(stage)\": \(error)")
            }
            return StageInspection(table, of: stage, in: generation, of: id)
        } catch {
            throw APIErrorBody(error, during: "ask \(hook)")
        }
    }

    private static let longestQuestion = 64 << 10

    /// Nil for a stage whose plugin never runs but shows what is in its maps.
    private func run(of stage: String, on hook: HookID) throws -> (RunSession, generation: Int)? {
        if let run = runs[RunKey(hook: hook, stage: stage, isCandidate: false)] { return (run.session, run.generation) }
        guard let live = try liveGeneration(of: hook) else {
            throw APIErrorBody.notFound("the chain is not live; apply it first")
        }
        let stages = live.resolved.stages
        guard let found = stages.first(where: { $0.name == stage }) else {
            throw APIErrorBody.notFound(
                "generation \(live.number), which is live, has no stage \"\(stage)\"; it has: "
                    + stages.map(\.name).joined(separator: ", "))
        }
        if found.plan.runs == nil, !found.plan.live.isEmpty { return nil }
        throw APIErrorBody.refused(
            "stage \"\(stage)\" (\(found.title)) has nothing running that could answer: with this configuration its plugin "
                + "has no work while it is live")
    }
}
