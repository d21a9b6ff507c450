// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Plugins: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the installed plugins, a version a line.")

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let plugins = try await client.plugins()
            try printer.show(plugins) { Self.text(plugins, $0) }
        }
    }

    static func text(_ plugins: [PluginInfo], _ style: Style) -> String {
        if plugins.isEmpty { return "no plugins installed\n" }
        var table = Table(columns: [
            .left("NAME"), .left("VERSION"), .left("HOOKS"), .left("USED BY"), .left("SUMMARY"),
        ])
        table.rows = plugins.map { plugin in
            [
                .init(plugin.name), .init(plugin.version), .init(plugin.hooks.joined(separator: " ")),
                .init(plugin.usedBy.isEmpty ? "-" : plugin.usedBy.joined(separator: ", ")),
                plugin.problem.map { .init("unusable: \($0)", style.red) } ?? .init(plugin.summary),
            ]
        }
        return table.render(style)
    }
}
