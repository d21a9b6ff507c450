// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import SluiceAPI

/// Waits for the end of the canaries that a change has begun, and says what it was; on a terminal also how they do.
/// Whoever interrupts it does not end them.
/// - Throws: `ExitCode(3)` when one was aborted.
func awaitCanaries(_ report: ChangeReport, _ client: SluiceClient, _ printer: Printer) async throws {
    var isAborted = false
    for chain in report.chains {
        guard let candidate = chain.canary else { continue }
        let end = try await end(of: candidate, on: chain.hook, client)
        isAborted = isAborted || end.action != "promote"
        if printer.format == .table {
            StandardOutput.write("\(printer.style.bold(chain.hook)): \(end.message)\n")
        } else {
            try printer.showOne(end) { _ in "" }
        }
    }
    if isAborted { throw ExitCode(3) }
}

private func end(of candidate: Int, on hook: String, _ client: SluiceClient) async throws -> Event {
    let showsProgress = isatty(STDERR_FILENO) == 1
    func show(_ text: String) { if showsProgress { StandardError.write("\r\u{1B}[K\(text)") } }
    defer { show("") }
    var failures = 0
    while true {
        do {
            guard let canary = try await client.chain(hook).canary, canary.candidate == candidate else { break }
            show("\(hook): \(canary.line)")
            failures = 0
        } catch let error as APIErrorBody where error.code == "unreachable" && failures < 20 {
            // The canary goes on while the daemon is restarted.
            failures += 1
        }
        try await Task.sleep(for: .milliseconds(500))
    }
    // What came behind the canary's own last word; a detach ends it, too.
    let events = try await client.events(of: hook, limit: 100).filter { $0.outcome == "done" }
    let ends = events[(events.lastIndex { $0.action == "canary" } ?? 0)...]
    guard let end = ends.first(where: { ["promote", "abort", "detach"].contains($0.action) }) else {
        throw APIErrorBody(
            code: "internal", message: "\(hook): the canary of generation \(candidate) is over; see `sluicectl events`")
    }
    return end
}
