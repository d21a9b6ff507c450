// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Conversations that are polled together.
struct Crowd {
    private(set) var members: [Conversation] = []
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)
    /// Whoever does not answer for so long, in ms, is broken.
    let patience: Int

    init(patience: Int) { self.patience = patience }

    mutating func add(_ conversation: Conversation) { members.append(conversation) }

    /// Ends some as one should.
    mutating func remove(where isLeaving: (Conversation) -> Bool) -> [Conversation] {
        let leaving = members.filter(isLeaving)
        members.removeAll(where: isLeaving)
        return leaving
    }

    /// Waits at most so many milliseconds, and tells who is in trouble: those are no longer of the crowd.
    mutating func poll(at most: Int) -> [(Conversation, Trouble)] {
        var polls = members.map { pollfd(fd: $0.descriptor, events: $0.events, revents: 0) }
        wait(for: &polls, at: most)
        var troubles: [(Conversation, Trouble)] = []
        buffer.withUnsafeMutableBytes { buffer in
            for (member, poll) in zip(members, polls) {
                if poll.revents != 0, let trouble = member.receive(poll.revents, into: buffer) {
                    troubles.append((member, trouble))
                } else if member.silence > patience {
                    troubles.append((member, .broken("silent")))
                }
            }
        }
        if !troubles.isEmpty {
            members.removeAll { member in troubles.contains { $0.0 === member } }
        }
        return troubles
    }
}
