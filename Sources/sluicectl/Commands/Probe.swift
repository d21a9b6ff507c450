// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Probe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Try which hooks and features this kernel gives; exit status 1 if something needed is missing.",
        discussion: "The daemon tries it, with its own rights. Nothing is attached to anything.")

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let report = try await client.probe()
            try printer.show(report) { Self.text(report, $0) }
            if !report.ready { throw ExitCode.failure }
        }
    }

    static func text(_ report: ProbeReport, _ style: Style) -> String {
        var table = Table(columns: [.left("WHAT"), .left("NAME"), .left("THERE"), .left("WHY")])
        table.rows = report.items.map { item in
            let answer = item.supported ? "yes" : item.required ? "NO" : "no"
            let paint = item.supported ? style.green : item.required ? style.red : style.yellow
            let why = [item.reason, item.remedy].compactMap(\.self).joined(separator: "; ")
            return [.init(item.group), .init(item.name), .init(answer, paint), .init(why)]
        }
        let missing = report.items.filter { $0.required && !$0.supported }.map(\.name)
        return "Linux \(report.kernel)\n" + table.render(style)
            + (missing.isEmpty
                ? style.green("all that Sluice needs is there")
                : style.red("needed: " + missing.joined(separator: ", ")))
            + "\n"
    }
}
