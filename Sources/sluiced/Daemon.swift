// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import SluiceAPI
import UnixSignals

/// What runs around the manager: the API, the watchdog, the idle exit, and a graceful end of all on a signal.
struct Daemon: Sendable {
    var socket: ListeningSocket
    var manager: any ManagerService
    var policy = AccessPolicy.current()
    /// Nil for never.
    var idleExit: Duration?
    /// What takes sockets into groups; nil where there is no socket for that.
    var joins: JoinServer?
    var logger: Logger

    /// Returns when idle, or stopped by SIGTERM or SIGINT; requests under way are finished first.
    func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let connections = ConnectionTable()
        let server = APIServer(
            socket: socket, manager: manager, policy: policy, connections: connections, logger: logger, group: group
        ) { [socket, logger] in
            logger.info("ready", metadata: ["socket": "\(socket.path)", "activated": "\(socket.isActivated)"])
            Notifier.ready("Serving on \(socket.path)")
        }
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [
            // The idle exit closes the listener first, which ends the server: then the rest has its turn.
            .init(service: server, successTerminationBehavior: .gracefullyShutdownGroup)
        ]
        if let joins { services.append(.init(service: joins, successTerminationBehavior: .ignore)) }
        if let watchdog = Watchdog(manager: manager) {
            services.append(.init(service: watchdog, successTerminationBehavior: .ignore))
        }
        if let idleExit {
            services.append(
                .init(
                    service: IdleExit(
                        after: idleExit, manager: manager, connections: connections, logger: logger),
                    successTerminationBehavior: .gracefullyShutdownGroup))
        }
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        // An apply under way gets this long; less than the unit's TimeoutStopSec.
        configuration.maximumGracefulShutdownDuration = .seconds(60)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
    }
}
