// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Canary: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Decide on a generation that is being tried on a share of the flows.",
        discussion: """
            `sluicectl upgrade --canary` and `sluicectl apply --canary` begin a canary, `sluicectl status HOOK` shows how \
            it is doing.
            """,
        subcommands: [CanaryPromote.self, CanaryAbort.self])
}

struct CanaryPromote: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote", abstract: "Give the new generation all of the traffic now.")

    @Argument(help: .init("The chain's hook, as in xdp:eth0.", valueName: "hook"))
    var hook: String

    @OptionGroup var note: MessageOption
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let report = try await client.promoteCanary(hook, .init(message: note.message))
            try printer.show(report) { report.text($0, verbose: printer.verbose) }
        }
    }
}

struct CanaryAbort: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "abort", abstract: "Give all of the traffic back to the live generation; the new one goes.")

    @Argument(help: .init("The chain's hook, as in xdp:eth0.", valueName: "hook"))
    var hook: String

    @OptionGroup var note: MessageOption
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let report = try await client.abortCanary(hook, .init(message: note.message))
            try printer.show(report) { report.text($0, verbose: printer.verbose) }
        }
    }
}
