// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check kernel, pins, records and chains; exit status 1 if something is wrong.",
        discussion: """
            Holds the kernel, the pins, the database and the artifacts against each other. --repair mends what packets do \
            not notice and what can be had again, and says what it left alone.
            """)

    @Flag(help: "Mend what may be mended without asking.")
    var repair = false

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let report = try await repair ? client.repair() : client.doctor()
            try printer.show(report) { Self.text(report, $0) }
            if !report.healthy { throw ExitCode.failure }
        }
    }

    static func text(_ report: DoctorReport, _ style: Style) -> String {
        report.findings.map { finding in
            let level =
                switch finding.level {
                case .ok: style.green("ok     ")
                case .note: style.yellow("note   ")
                case .problem: style.red("problem")
                }
            let offer = finding.repairable && finding.repaired == nil ? "`sluicectl doctor --repair`" : nil
            let ways = [offer, finding.remedy].compactMap(\.self).joined(separator: "; or ")
            let remedy = ways.isEmpty ? "" : "         \(ways)\n"
            let repaired = finding.repaired.map { "         \(style.green("repaired:")) \($0)\n" } ?? ""
            return "\(level)  \(style.bold(finding.subject)): \(finding.message)\n\(remedy)\(repaired)"
        }.joined()
    }
}
