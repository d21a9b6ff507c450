// SPDX-License-Identifier: Apache-2.0

import Logging
import ServiceLifecycle
import SluiceAPI

/// Returns, and so ends the daemon, when nobody has been connected for a while and the manager has nothing under way.
/// The chains stay as they are; the socket starts the daemon again.
struct IdleExit: Service {
    var after: Duration
    var manager: any ManagerService
    var connections: ConnectionTable
    var logger: Logger

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown {
                try await waitForQuiet()
                logger.info("idle, leaving", metadata: ["seconds": "\(after.components.seconds)"])
                // From here on systemd keeps who comes for the next start; who came just before gets his answer first.
                await connections.stopListening()
                while connections.quiet() == nil { try await Task.sleep(for: .milliseconds(20)) }
            }
        } catch is CancellationError {
            // Somebody else ended the daemon first.
        }
    }

    private func waitForQuiet() async throws {
        while true {
            // The connections last: somebody may come while the manager thinks.
            let isBusy = await manager.isBusy()
            let quiet = connections.quiet() ?? .zero
            if !isBusy, quiet >= after { return }
            // Half a second at least: a busy manager is asked again, not without end.
            try await Task.sleep(for: max(after - quiet, .milliseconds(500)))
        }
    }
}
