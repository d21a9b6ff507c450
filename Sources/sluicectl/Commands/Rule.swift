// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Rule: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Add rules to a live stage, remove and list them.",
        discussion: """
            The change takes effect at once: no generation is built. It stays through restarts, upgrades and reboots, \
            until it is undone or the chain detached; what is meant to last belongs into the spec. Which rules there are \
            says the stage's plugin.
            """,
        subcommands: [RuleAdd.self, RuleRemove.self, RuleList.self])
}

struct RuleRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove rules from a live stage: all of them or, if one cannot be, none.")

    @OptionGroup var place: LiveStage

    @Argument(help: .init("The rules' names.", valueName: "name"))
    var names: [String]

    @OptionGroup var note: MessageOption
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await place.change(global, note) { ["remove": .array(names.map { .string($0) })] }
    }
}

struct RuleList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List a live stage's rules.")

    @OptionGroup var place: LiveStage
    @OptionGroup var global: GlobalOptions

    func run() async throws { try await place.inspect(global, ["list": "rules"]) }
}
