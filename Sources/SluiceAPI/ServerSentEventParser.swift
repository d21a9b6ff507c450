// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Cuts a `text/event-stream` into its events; gives each one's data. Comments (the heartbeat) and other fields are
/// passed over: an ``Event`` says itself what its id and its action are.
struct ServerSentEventParser {
    private var line: [UInt8] = []
    private var data: [UInt8] = []

    /// The data of every event that `piece` completes.
    mutating func feed(_ piece: ByteBuffer) -> [[UInt8]] {
        var events: [[UInt8]] = []
        for byte in piece.readableBytesView {
            guard byte == UInt8(ascii: "\n") else {
                line.append(byte)
                continue
            }
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            if line.isEmpty {
                if !data.isEmpty { events.append(data) }
                data = []
            } else if line.starts(with: Array("data:".utf8)) {
                if !data.isEmpty { data.append(UInt8(ascii: "\n")) }
                data += line.dropFirst(5).drop { $0 == UInt8(ascii: " ") }
            }
            line = []
        }
        return events
    }
}
