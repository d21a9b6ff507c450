// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import SluiceAPI

/// What every command takes.
struct GlobalOptions: ParsableArguments {
    @Option(
        help: .init(
            "The daemon's socket (default: $SLUICE_SOCKET, else \(SluiceClient.defaultSocket)).", valueName: "path"))
    var socket: String?

    @Option(name: .shortAndLong, help: "How to print.")
    var output = OutputFormat.table

    @Flag(name: .shortAndLong, help: "More: an error's whole detail (the verifier's log), changes, timings.")
    var verbose = false

    @Flag(name: .customLong("no-color"), help: "No colour, as if stdout were no terminal; $NO_COLOR does the same.")
    var noColor = false

    /// The API's.
    var socketPath: String { socket ?? Self.variable("SLUICE_SOCKET") ?? SluiceClient.defaultSocket }

    var client: SluiceClient { SluiceClient(socket: socketPath) }

    /// What prints to stdout.
    var printer: Printer {
        Printer(format: output, style: style(for: STDOUT_FILENO), verbose: verbose)
    }

    /// Runs a command's work; an error becomes one clear message on stderr and exit status 1.
    func perform(_ work: (SluiceClient, Printer) async throws -> Void) async throws {
        do {
            try await work(client, printer)
        } catch let error as APIErrorBody {
            StandardError.write(Self.describe(error, verbose: verbose, style: style(for: STDERR_FILENO)))
            throw ExitCode.failure
        }
    }

    static func describe(_ error: APIErrorBody, verbose: Bool, style: Style) -> String {
        var text = "\(style.red("sluicectl:")) \(error.message)\n"
        if let detail = error.detail {
            text +=
                verbose ? detail + (detail.hasSuffix("\n") ? "" : "\n") : style.dim("(-v shows the whole log)") + "\n"
        }
        return text
    }

    private func style(for descriptor: CInt) -> Style {
        Style(isColoured: !noColor && Self.variable("NO_COLOR") == nil && isatty(descriptor) == 1)
    }

    /// An environment variable that is set and not empty.
    static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}

enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json, yaml
}
