// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import SluiceAPI

/// The API on a Unix socket, as a service of the daemon.
struct APIServer: Service {
    var socket: ListeningSocket
    var manager: any ManagerService
    var policy: AccessPolicy
    var connections: ConnectionTable
    var logger: Logger
    /// Of one thread: plenty for a control socket, and closing the listener is ordered with accepting. It is shut down
    /// by who made it, once no service waits for it any more.
    var group: any EventLoopGroup
    /// Called once connections are taken.
    var ready: @Sendable () -> Void

    private struct Connection: Sendable {
        var http: HTTP1Channel
        var channel: HTTP1Channel.Value
    }

    func run() async throws {
        let (accepted, feed) = AsyncStream<Connection>.makeStream()
        let listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in prepare(channel).map { _ = feed.yield($0) } }
            .withBoundSocket(socket.descriptor).get()
        listener.closeFuture.whenComplete { _ in feed.finish() }
        connections.listen(listener)
        ready()
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { tasks in
                for await connection in accepted {
                    tasks.addTask { await connection.http.handle(value: connection.channel, logger: logger) }
                }
            }
        } onGracefulShutdown: {
            Notifier.stopping("Leaving; the chains stay")
            connections.stop()
        }
    }

    /// Asks the kernel who has connected, before a byte is read; a failure closes the connection.
    private func prepare(_ channel: any Channel) -> EventLoopFuture<Connection> {
        do {
            let peer = try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self)
            {
                try Peer(descriptor: $0)
            }
            guard let peer else { throw Failure("a connection without a socket") }
            guard connections.admit(channel, uid: peer.uid) else {
                throw Failure("uid \(peer.uid) has too many connections open")
            }
            let responder = APIResponder(
                manager: manager, connections: connections, logger: logger, peer: peer,
                access: policy.access(of: peer))
            let http = HTTP1Channel(
                responder: { try await responder.respond(to: $0, writer: $1, channel: $2) },
                configuration: .init(
                    idleTimeout: .seconds(30),
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: 8 << 10, maxHeaderListSize: 16 << 10, maxHeaderFieldCount: 64)))
            return http.setup(channel: channel, logger: logger).map { Connection(http: http, channel: $0) }
        } catch {
            logger.warning("connection refused: \(error)")
            return channel.eventLoop.makeFailedFuture(error)
        }
    }
}
