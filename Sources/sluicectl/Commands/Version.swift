// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Version: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the versions of this command, the daemon and the kernel.")

    struct Answer: Codable {
        var client: String
        /// Nil when the daemon does not answer.
        var daemon: VersionInfo?
    }

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            var answer = Answer(client: SluiceVersion.current, daemon: nil)
            let daemon: Result<VersionInfo, any Error>
            do { daemon = .success(try await client.version()) } catch { daemon = .failure(error) }
            answer.daemon = try? daemon.get()
            try printer.show(answer) { _ in Self.text(answer) }
            _ = try daemon.get()
        }
    }

    static func text(_ answer: Answer) -> String {
        var text = "sluicectl \(answer.client)\n"
        if let daemon = answer.daemon {
            text += "sluiced \(daemon.version), API \(daemon.api), plugin protocol \(daemon.pluginProtocol)\n"
            text += "Linux \(daemon.kernel)\n"
        }
        return text
    }
}
