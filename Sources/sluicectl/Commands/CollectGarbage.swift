// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct CollectGarbage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc", abstract: "Remove pins and copies of plugins that no chain needs any more.")

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let report = try await client.gc()
            try printer.show(report) { _ in
                report.removed.isEmpty ? "nothing to remove\n" : report.removed.map { "removed \($0)\n" }.joined()
            }
        }
    }
}
