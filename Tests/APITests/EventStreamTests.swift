// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import ServiceLifecycle
import SluiceAPI
import Synchronization
import Testing

@testable import SluiceAPI
@testable import sluiced

@Suite struct EventStreamTests {
    /// The first `count` events of a stream, or what came before `limit` was over.
    private func first(_ count: Int, of stream: AsyncThrowingStream<Event, any Error>) async throws -> [Event] {
        var events: [Event] = []
        for try await event in stream {
            events.append(event)
            if events.count == count { break }
        }
        return events
    }

    @Test(.timeLimit(.minutes(1))) func keptEventsFirstThenLiveOnesOnceEach() async throws {
        try await ServerFixture.run { server async throws in
            for id in 1...3 as ClosedRange<Int64> { server.manager.emit(Samples.event(id)) }
            let stream = server.client.liveEvents(since: 1)
            async let received = first(5, of: stream)
            try await server.manager.waitForListeners(1)
            // Event 3 again, as if it had been kept and sent while the stream began.
            server.manager.state.withLock { _ = $0.listeners[0].yield(Samples.event(3)) }
            server.manager.emit(Samples.event(3, "apply", outcome: "progress"))
            server.manager.emit(Samples.event(4))
            server.manager.emit(Samples.event(5, "rollback"))
            let events = try await received
            #expect(events.filter { $0.outcome == "done" }.map(\.id) == [2, 3, 4, 5])
            #expect(events.count(where: { $0.outcome == "progress" }) == 1)
        }
    }

    @Test(.timeLimit(.minutes(1))) func withoutSinceOnlyWhatHappensFromNowOn() async throws {
        try await ServerFixture.run { server async throws in
            server.manager.emit(Samples.event(1))
            async let received = first(1, of: server.client.liveEvents())
            try await server.manager.waitForListeners(1)
            server.manager.emit(Samples.event(2))
            #expect(try await received == [Samples.event(2)])
        }
    }

    @Test(.timeLimit(.minutes(1))) func lastEventIDResumesAndTheWireIsAsSpecified() async throws {
        try await ServerFixture.run { server async throws in
            for id in 1...2 as ClosedRange<Int64> { server.manager.emit(Samples.event(id)) }
            async let answer = server.raw(
                "GET /v1/events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nlast-event-id: 1\r\n\r\n")
            try await server.manager.waitForListeners(1)
            server.manager.emit(Samples.event(0, "upgrade", outcome: "progress"))
            try await Task.sleep(for: .milliseconds(100))
            // A stop ends the stream properly; so raw() returns.
            await server.group.triggerGracefulShutdown()
            let text = try await answer
            #expect(
                text.contains("content-type: text/event-stream") || text.contains("Content-Type: text/event-stream"))
            #expect(text.contains("id: 2\nevent: apply\ndata: {"))
            #expect(!text.contains("id: 1\n"))
            #expect(text.contains("event: upgrade\ndata: {"))
            #expect(!text.contains("id: 0\n"))
            #expect(text.contains(":\n\n"))
            #expect(text.hasSuffix("0\r\n\r\n"))
        }
    }

    @Test func aBadLastEventIDIsRefused() async throws {
        try await ServerFixture.run { server async throws in
            let error = try await server.refusal(.GET, "/v1/events", headers: [("last-event-id", "-3")])
            #expect(error.message == "Last-Event-ID: want an event's id, got \"-3\"")
        }
    }

    @Test(.timeLimit(.minutes(1))) func aClientThatLeavesEndsItsStream() async throws {
        try await ServerFixture.run { server async throws in
            let reader = Task { try await first(1, of: server.client.liveEvents()) }
            try await server.manager.waitForListeners(1)
            #expect(server.connections.quiet() == nil)
            reader.cancel()
            while server.connections.quiet() == nil { try await Task.sleep(for: .milliseconds(5)) }
        }
    }

    @Test func theParserTakesEventsInAnyPieces() {
        let text = ": hello\n\nid: 1\nevent: apply\ndata: {\"a\":1}\n\n:\n\ndata:x\r\ndata: y\r\n\r\ndata: unfinished\n"
        for size in 1...text.utf8.count {
            var parser = ServerSentEventParser()
            var events: [String] = []
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                events += parser.feed(ByteBuffer(bytes: rest.prefix(size))).map { String(decoding: $0, as: UTF8.self) }
                rest = rest.dropFirst(size)
            }
            #expect(events == [#"{"a":1}"#, "x\ny"])
        }
    }
}
