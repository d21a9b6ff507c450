// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Plan: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what apply would change; exit status 2 if anything.")

    @OptionGroup var spec: SpecFile
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let report = try await client.plan(.init(spec: try spec.read(), source: spec.file))
            try printer.show(report) { report.text($0) }
            if report.changed { throw ExitCode(2) }
        }
    }
}
