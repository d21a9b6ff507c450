// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Apply: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a spec so: build, preflight, and flip traffic to it.",
        discussion: """
            The new generation is built and tried beside the running one, then takes over with one write. If anything \
            fails before that, nothing has changed. Chains that the spec does not name stay as they are. \
            With --canary what changes is tried on a share of the flows first: see `sluicectl upgrade --help`.
            """)

    @OptionGroup var spec: SpecFile

    @OptionGroup var canary: CanaryOptions

    @OptionGroup var note: MessageOption

    @Flag(help: "Replace a foreign program that is on the hook already.")
    var replace = false

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let request = ApplyRequest(
                spec: try spec.read(), source: spec.file, message: note.message, replace: replace,
                canary: try canary.request())
            let report = try await withProgress(client) { try await client.apply(request) }
            try printer.show(report) { report.text($0, verbose: printer.verbose) }
            if canary.waits { try await awaitCanaries(report, client, printer) }
        }
    }
}
