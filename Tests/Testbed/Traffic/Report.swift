// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What clients saw, as a line of JSON.
struct Report: Encodable {
    var phase: String
    /// Of how many connections this is, and where they went.
    var connections = 0
    var servers: [String: Int] = [:]
    /// That came back as they were sent.
    var bytes = 0
    var broken = 0
    var corrupted = 0
    /// The broken ones, by server and by cause.
    var brokenOn: [String: Int] = [:]
    var causes: [String: Int] = [:]
    /// From the first SYN to the server's name, in ms; and how many took long enough to have lost one.
    var slowest = 0
    var resent = 0

    mutating func count(_ conversation: Conversation, _ trouble: Trouble) {
        bytes += conversation.checked
        switch trouble {
        case .corrupted: corrupted += 1
        case .broken(let cause):
            broken += 1
            brokenOn[conversation.server ?? "none", default: 0] += 1
            causes[cause, default: 0] += 1
        }
    }

    mutating func count(opened conversation: Conversation) {
        let time = conversation.greeted - conversation.began
        slowest = max(slowest, time)
        resent += time > 900 ? 1 : 0
    }

    func write() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try FileHandle.standardOutput.write(contentsOf: encoder.encode(self) + [UInt8(ascii: "\n")])
    }
}
