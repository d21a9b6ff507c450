// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import ServiceLifecycle
import SluiceAPI
import Synchronization
import Testing

@testable import sluiced

@Suite(.timeLimit(.minutes(1))) struct LifecycleTests {
    @Test func aStopLetsTheRequestUnderWayFinish() async throws {
        try await ServerFixture.run { server async throws in
            let (gate, open) = AsyncStream<Void>.makeStream()
            server.manager.state.withLock { $0.gate = gate }
            async let change = server.client.apply(.init(spec: "", source: "-"))
            while !server.manager.calls.contains("apply begins") { try await Task.sleep(for: .milliseconds(5)) }
            await server.group.triggerGracefulShutdown()
            try await Task.sleep(for: .milliseconds(100))
            await #expect(throws: APIErrorBody.self) { try await server.client.version() }
            open.finish()
            #expect(try await change == Samples.change)
        }
    }

    @Test func idleExitWaitsForConnectionsAndForTheManager() async throws {
        let manager = ScriptedManager()
        manager.state.withLock { $0.isBusy = true }
        try await ServerFixture.run(manager: manager, idleExit: .milliseconds(200)) { server async throws in
            try await Task.sleep(for: .milliseconds(900))
            #expect(try await server.client.version() == Samples.version)

            let reader = Task { for try await _ in server.client.liveEvents() {} }
            try await server.manager.waitForListeners(1)
            server.manager.state.withLock { $0.isBusy = false }
            try await Task.sleep(for: .milliseconds(900))
            #expect(try await server.client.version() == Samples.version)

            reader.cancel()
            try await Task.sleep(for: .milliseconds(1500))
            await #expect(throws: APIErrorBody.self) { try await server.client.version() }
        }
    }

    @Test func theWatchdogPingsWhileTheManagerAnswersAndEndsInOrder() async throws {
        let pings = Mutex(0)
        let watchdog = Watchdog(manager: ScriptedManager(), interval: .milliseconds(10)) { pings.withLock { $0 += 1 } }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: watchdog, successTerminationBehavior: .ignore)], logger: logger))
        async let ended: Void = group.run()
        while pings.withLock(\.self) < 3 { try await Task.sleep(for: .milliseconds(5)) }
        await group.triggerGracefulShutdown()
        try await ended
    }

    @Test func oneUserCannotTakeAllConnections() async throws {
        try await ServerFixture.run { server async throws in
            // A channel that is never closed would do; the limit is on counting, so count.
            try #require(ConnectionTable.limitPerUser < ConnectionTable.limit)
            let clients = (0..<ConnectionTable.limitPerUser + 8).map { _ in
                Task { for try await _ in server.client.liveEvents() {} }
            }
            // Root, whom the limit of one user does not bind, still gets in; another user would not.
            let expected = getuid() == 0 ? clients.count : ConnectionTable.limitPerUser
            try await server.manager.waitForListeners(expected)
            if getuid() == 0 { #expect(try await server.client.version() == Samples.version) }
            clients.forEach { $0.cancel() }
        }
    }

    private func withDirectory(_ body: (URL) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "sluice-api-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try body(directory)
    }

    @Test func aSocketInUseIsNotTakenOver() throws {
        try withDirectory { directory in
            let path = directory.appending(path: "s").path
            let first = try ListeningSocket.open(path: path)
            let error = #expect(throws: Failure.self) { try ListeningSocket.open(path: path) }
            #expect(
                error?.description
                    == "listen on \"\(path)\": another sluiced listens there already; stop it or pass another --socket")
            close(first.descriptor)
            // What a killed daemon leaves is a file that nobody listens on.
            let second = try ListeningSocket.open(path: path)
            close(second.descriptor)
            second.remove()
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test func aFileThatIsNoSocketStays() throws {
        try withDirectory { directory in
            let path = directory.appending(path: "s").path
            try Data("precious".utf8).write(to: URL(filePath: path))
            let error = #expect(throws: Failure.self) { try ListeningSocket.open(path: path) }
            #expect(
                error?.description
                    == "listen on \"\(path)\": something that is not a socket is there already; remove it")
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
        }
    }

    @Test func aPathTooLongForASocket() {
        let path = "/tmp/" + String(repeating: "x", count: 200)
        let error = #expect(throws: Failure.self) { try ListeningSocket.open(path: path) }
        #expect(error?.description == "listen on \"\(path)\": a socket's path has 1 to 107 bytes")
    }

    @Test func everybodyMayConnectBecauseTheServerDecides() throws {
        try withDirectory { directory in
            let socket = try ListeningSocket.open(path: directory.appending(path: "s").path)
            defer { close(socket.descriptor) }
            var status = stat()
            #expect(stat(socket.path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o666)
        }
    }
}
