// SPDX-License-Identifier: Apache-2.0

import Glibc
import SluiceAPI

/// Shows on stderr what the daemon is at while a change runs; only on a terminal, and gone afterwards.
func withProgress<Answer: Sendable>(
    _ client: SluiceClient, _ work: () async throws -> Answer
) async throws -> Answer {
    guard isatty(STDERR_FILENO) == 1 else { return try await work() }
    let watcher = Task {
        // The change itself reports what goes wrong; progress is a courtesy.
        do {
            for try await event in client.liveEvents() where event.outcome == "progress" {
                StandardError.write("\r\u{1B}[K\(event.hook.map { $0 + ": " } ?? "")\(event.message)")
            }
        } catch {}
    }
    defer {
        watcher.cancel()
        StandardError.write("\r\u{1B}[K")
    }
    return try await work()
}
