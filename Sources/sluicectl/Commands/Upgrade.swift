// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Upgrade: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Move one stage of a chain to another version of its plugin, without losing a packet.",
        discussion: """
            With --canary the new generation gets a share of the flows first, is held against the live one, and is \
            promoted at the end or aborted. The command waits for that: exit status 0 promoted, 3 aborted. Interrupting \
            it leaves the canary as it is; `sluicectl canary promote` and `abort` end it by hand.
            """)

    @Argument(help: .init("The chain's hook, as in xdp:eth0.", valueName: "hook"))
    var hook: String

    @Argument(help: .init("The stage's name.", valueName: "stage"))
    var stage: String

    @Option(help: .init("The version (default: the newest installed).", valueName: "version"))
    var to: String?

    @OptionGroup var canary: CanaryOptions

    @OptionGroup var note: MessageOption

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let request = UpgradeRequest(stage: stage, version: to, message: note.message, canary: try canary.request())
            let report = try await withProgress(client) { try await client.upgrade(hook, request) }
            try printer.show(report) { report.text($0, verbose: printer.verbose) }
            if canary.waits { try await awaitCanaries(report, client, printer) }
        }
    }
}
