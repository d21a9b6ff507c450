// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

/// `HOOK STAGE` of the live generation.
struct LiveStage: ParsableArguments {
    @Argument(help: .init("The chain's hook, as in xdp:eth0.", valueName: "hook"))
    var hook: String

    @Argument(help: .init("The stage's name.", valueName: "stage"))
    var stage: String

    /// Has the stage's plugin change it, and prints what that did.
    func change(
        _ global: GlobalOptions, _ note: MessageOption, _ request: () throws -> JSONValue
    ) async throws {
        try await global.perform { client, printer in
            let request = StageChangeRequest(request: try request(), message: note.message)
            let report = try await client.change(hook, stage: stage, request)
            try printer.show(report) { report.text($0, verbose: printer.verbose) }
        }
    }

    /// Has the stage's plugin show something.
    func inspect(_ global: GlobalOptions, _ request: JSONValue) async throws {
        try await global.perform { client, printer in
            try printer.show(try await client.inspect(hook, stage: stage, StageInspectRequest(request: request)))
        }
    }
}
