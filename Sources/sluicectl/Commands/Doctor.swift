// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check kernel, pins, records and chains; exit status 1 if something is wrong.")

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            let report = try await client.doctor()
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
            let remedy = finding.remedy.map { "         \($0)\n" } ?? ""
            return "\(level)  \(style.bold(finding.subject)): \(finding.message)\n\(remedy)"
        }.joined()
    }
}
