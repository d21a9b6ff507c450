// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Detach: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take a chain off its hook; its history is kept.")

    @Argument(help: .init("The chain's hook, as in xdp:eth0.", valueName: "hook"))
    var hook: String

    @OptionGroup var note: MessageOption

    @Flag(help: "Attach again what `apply --replace` or `adopt` displaced.")
    var restore = false

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let report = try await client.detach(hook, .init(message: note.message, restore: restore))
            try printer.show(report) { report.text($0, verbose: printer.verbose) }
        }
    }
}
