// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Adopt: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make the program that somebody else attached the first stage of the hook's chain.",
        discussion: """
            The object must be the one that the running program was loaded from, which its instructions tell. The stage \
            goes on with the program's own maps: the rules that were loaded into it hold. Where the hook has no chain, \
            one of this stage is made. `detach --restore` puts the program back where it was.
            """)

    @Argument(help: .init("The hook it runs at, as in xdp:eth0.", valueName: "hook"))
    var hook: String

    @Argument(help: .init("What the stage is to be called.", valueName: "stage"))
    var stage: String

    @Option(help: .init("The object that it was loaded from, as in /usr/lib/x.o#main.", valueName: "path#program"))
    var object: String

    @Option(help: .init("Which program, where others attached several.", valueName: "id or name"))
    var program: String?

    @Option(
        help: .init("A verdict after which the next stage has its turn; may be repeated.", valueName: "verdict"))
    var proceedOn: [String] = ["pass"]

    @OptionGroup var note: MessageOption

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let request = AdoptRequest(
                stage: stage, object: object, program: program, proceedOn: proceedOn, message: note.message)
            let report = try await withProgress(client) { try await client.adopt(hook, request) }
            try printer.show(report) { report.text($0, verbose: printer.verbose) }
        }
    }
}
