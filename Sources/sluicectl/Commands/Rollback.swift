// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Rollback: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Flip a chain back to an earlier generation.",
        discussion: """
            One write to a pinned slot: it needs no plugin, no verifier and no build. `sluicectl history HOOK` shows which \
            generations are kept.
            """)

    @Argument(help: .init("The chain's hook, as in xdp:eth0.", valueName: "hook"))
    var hook: String

    @Option(help: .init("The generation (default: the one that was live before).", valueName: "n"))
    var to: Int?

    @OptionGroup var note: MessageOption

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let report = try await client.rollback(hook, .init(to: to, message: note.message))
            try printer.show(report) { report.text($0, verbose: printer.verbose) }
        }
    }
}
