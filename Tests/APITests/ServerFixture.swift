// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import SluiceAPI
import Testing

@testable import SluiceAPI
@testable import sluiced

/// The API in front of a scripted manager, on a socket of its own.
struct ServerFixture: Sendable {
    /// Groups that the fixture's policy knows, and the system need not.
    static let changeGroup: gid_t = 60001
    static let viewGroup: gid_t = 60002

    let directory: URL
    let manager: ScriptedManager
    let client: SluiceClient
    let connections: ConnectionTable
    let group: ServiceGroup

    var path: String { client.socket }

    /// Serves while `body` runs; the caller is whoever runs the tests, let in by his primary group if he is not root.
    static func run(
        policy: AccessPolicy = .init(change: getuid() == 0 ? changeGroup : getgid(), view: viewGroup),
        manager: ScriptedManager = .init(), idleExit: Duration? = nil, _ body: (ServerFixture) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "sluice-api-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        chmod(directory.path, 0o755)

        let socket = try ListeningSocket.open(path: directory.appending(path: "api.sock").path)
        let connections = ConnectionTable()
        var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let (ready, signal) = AsyncStream<Void>.makeStream()
        let server = APIServer(
            socket: socket, manager: manager, policy: policy, connections: connections, logger: logger,
            group: loop
        ) { signal.finish() }
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [
            .init(service: server, successTerminationBehavior: .gracefullyShutdownGroup)
        ]
        if let idleExit {
            services.append(
                .init(
                    service: IdleExit(after: idleExit, manager: manager, connections: connections, logger: logger),
                    successTerminationBehavior: .gracefullyShutdownGroup))
        }
        let group = ServiceGroup(configuration: .init(services: services, logger: logger))
        let running = Task { try await group.run() }
        for await _ in ready {}
        let fixture = ServerFixture(
            directory: directory, manager: manager, client: SluiceClient(socket: socket.path), connections: connections,
            group: group)
        do {
            try await body(fixture)
        } catch {
            await group.triggerGracefulShutdown()
            _ = await running.result
            try await loop.shutdownGracefully()
            throw error
        }
        await group.triggerGracefulShutdown()
        try await running.value
        try await loop.shutdownGracefully()
    }

    /// The error that a request gets.
    func refusal(
        _ method: HTTPMethod, _ target: String, _ body: String = "", headers: [(String, String)] = []
    ) async throws -> APIErrorBody {
        do {
            try await client.exchange(method, target, body: Array(body.utf8), headers: headers) { _ in }
        } catch let error as APIErrorBody {
            return error
        }
        throw Unrefused()
    }

    struct Unrefused: Error {}

    /// Bytes out, bytes in until the server closes; for what a proper client does not send.
    func raw(_ request: String) async throws -> String {
        let path = path
        return try await withCheckedThrowingContinuation { continuation in
            // A thread of its own: the global queue is the one that Swift's tasks run on.
            Thread.detachNewThread {
                let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
                defer { close(descriptor) }
                var address = sockaddr_un()
                address.sun_family = sa_family_t(AF_UNIX)
                withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
                let connected = withUnsafePointer(to: address) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                    }
                }
                guard connected == 0 else { return continuation.resume(throwing: Failure(operation: "connect")) }
                _ = Array(request.utf8).withUnsafeBytes {
                    send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
                }
                var answer: [UInt8] = []
                var chunk = [UInt8](repeating: 0, count: 4096)
                while true {
                    let count = read(descriptor, &chunk, chunk.count)
                    guard count > 0 else { break }
                    answer += chunk.prefix(count)
                }
                continuation.resume(returning: String(decoding: answer, as: UTF8.self))
            }
        }
    }
}
