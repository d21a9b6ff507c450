// SPDX-License-Identifier: Apache-2.0

internal import SluiceAPI
internal import StageKit

extension Manager {
    /// Changes a live stage for its own plugin: what an operator may, recorded as the stage's.
    func change(_ key: RunKey, _ request: JSON, because reason: String) async throws -> [String] {
        guard !key.isCandidate else {
            throw StageError("the generation is tried as a canary; only the live one's stages change themselves")
        }
        let directory = directory(key.hook)
        // From the kernel: the record of the whole plan has megabytes.
        guard let live = try directory.live(),
            let stage = try Manifest(pinnedAt: directory.generation(live).meta).stages.first(where: {
                $0.name == key.stage
            })
        else {
            throw StageError("the stage \"\(key.stage)\" is not live on \(key.hook) any more")
        }
        do {
            let report = try await change(
                key.hook.description, stage: key.stage,
                StageChangeRequest(request: JSONValue(request), message: reason),
                by: Caller(uid: 0, pid: 0, name: "stage \(key.stage) (\(stage.record.title))"))
            return report.lines
        } catch let error as APIErrorBody {
            throw StageError(error.message)
        }
    }
}
