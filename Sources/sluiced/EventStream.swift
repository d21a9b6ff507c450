// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import NIOCore
import SluiceAPI

extension APIResponder {
    /// A comment this often keeps a quiet stream from looking dead.
    static let heartbeat = Duration.seconds(15)
    /// Events a slow reader may lag behind; then its stream ends, and it resumes with `Last-Event-ID`.
    static let backlog = 1024

    private enum Item: Sendable {
        case event(Event)
        case heartbeat
    }

    /// The answer that does not end: the kept events after `last` (nil: none), then each as it happens.
    func stream(after last: Int64?, on channel: any Channel) -> Response {
        let body = ResponseBody { [manager, connections] writer in
            // Listen first, then read what was kept, so that nothing falls between; what comes twice is dropped by its
            // id.
            let live = await manager.liveEvents()
            let (items, feed) = AsyncStream<Item>.makeStream(bufferingPolicy: .bufferingOldest(Self.backlog))
            connections.streams(on: channel) { feed.finish() }
            let relay = Task {
                for await event in live {
                    if case .dropped = feed.yield(.event(event)) { break }
                }
                feed.finish()
            }
            let clock = Task {
                while !Task.isCancelled {
                    feed.yield(.heartbeat)
                    try await Task.sleep(for: Self.heartbeat)
                }
            }
            defer {
                relay.cancel()
                clock.cancel()
            }
            var seen = last ?? 0
            if last != nil {
                while true {
                    let kept = try await manager.events(since: seen, limit: 500)
                    for event in kept { try await writer.write(Self.frame(event)) }
                    guard let newest = kept.last?.id else { break }
                    seen = newest
                }
            }
            for await item in items {
                switch item {
                case .heartbeat: try await writer.write(ByteBuffer(string: ":\n\n"))
                case .event(let event):
                    // Progress is not kept: it has no id of its own to compare.
                    if event.outcome != "progress" {
                        guard event.id > seen else { continue }
                        seen = event.id
                    }
                    try await writer.write(Self.frame(event))
                }
            }
            try await writer.finish(nil)
        }
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"], body: body)
    }

    static func frame(_ event: Event) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        if event.outcome != "progress" { buffer.writeString("id: \(event.id)\n") }
        // JSON has its line feeds escaped, so it is one line of data; the action is a word of ours.
        buffer.writeString("event: \(event.action)\ndata: ")
        buffer.writeBytes(try JSONEncoder().encode(event))
        buffer.writeString("\n\n")
        return buffer
    }
}
