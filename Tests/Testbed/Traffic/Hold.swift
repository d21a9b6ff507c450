// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc

/// Connections that are held and used, while others change what is between. On its input it takes lines:
///
///     mark PHASE     a report of the time since the last one, when each connection has been used once more
///     renew SERVER   ends the connections to that server as one should, and opens others
///     end
///
/// What breaks stays so until the report, which is written when all connections are open again.
struct Hold: ParsableCommand {
    @Option(help: "Where to, as in 198.51.100.10:7007.") var to: Endpoint
    @Option(help: "How many connections.") var connections = 200
    @Option(help: "From one request to the next, in ms.") var interval = 100
    @Option(help: "Whoever does not answer for so long, in ms, is broken.") var patience = 8000

    func run() throws {
        var holder = Holder(self)
        try holder.open("start")
        var input = Lines()
        while let lines = input.read() {
            for line in lines {
                let words = line.split(separator: " ").map(String.init)
                switch (words.first, words.last) {
                case ("mark", let phase?): try holder.mark(phase)
                case ("renew", let server?): try holder.renew(server)
                default: return
                }
            }
            holder.turn()
        }
    }
}

private struct Holder {
    private let options: Hold
    private let pattern = Pattern()
    private var crowd: Crowd
    private var report = Report(phase: "")
    private var next = 0
    /// Bytes of those that are left, when the last report was written.
    private var before = 0

    init(_ options: Hold) {
        self.options = options
        crowd = Crowd(patience: options.patience)
    }

    mutating func turn() {
        let time = now()
        for member in crowd.members where member.isResting && member.due <= time {
            member.ask()
            // Not all of them in step.
            member.due = time + options.interval * (75 + (member.number * 13 + member.checked) % 50) / 100
        }
        for (member, trouble) in crowd.poll(at: 0) { report.count(member, trouble) }
        // Many at once cost less than each by itself.
        usleep(5000)
    }

    /// Each connection is used once more, and is well or not; then the report.
    mutating func mark(_ phase: String) throws {
        let time = now()
        while crowd.members.contains(where: { $0.answered < time }) { turn() }
        report.phase = phase
        report.bytes += crowd.members.reduce(0) { $0 + $1.checked } - before
        let done = report
        try open(nil)
        try done.write()
    }

    mutating func renew(_ server: String) throws {
        while crowd.members.contains(where: { $0.server == server && !$0.isResting }) { turn() }
        for member in crowd.remove(where: { $0.server == server }) { report.bytes += member.checked }
        try fill()
    }

    /// Opens what is missing, and begins to count anew.
    mutating func open(_ phase: String?) throws {
        let old = crowd.members.count
        var fresh = Report(phase: "")
        swap(&report, &fresh)
        try fill()
        for member in crowd.members.dropFirst(old) { report.count(opened: member) }
        report.connections = crowd.members.count
        report.servers = crowd.members.reduce(into: [:]) { $0[$1.server ?? "none", default: 0] += 1 }
        before = crowd.members.reduce(0) { $0 + $1.checked }
        guard let phase else { return }
        fresh = report
        fresh.phase = phase
        try fresh.write()
    }

    private mutating func fill() throws {
        while crowd.members.count < options.connections {
            crowd.add(try Conversation(next, to: options.to, pattern: pattern))
            next += 1
        }
        while crowd.members.contains(where: { $0.answered < 0 }) { turn() }
    }
}

/// Lines of the standard input, without waiting for any.
private struct Lines {
    private var text: [UInt8] = []
    private var buffer = [UInt8](repeating: 0, count: 1024)

    init() { _ = fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK) }

    /// Nil at the end.
    mutating func read() -> [String]? {
        let count = Glibc.read(STDIN_FILENO, &buffer, buffer.count)
        guard count != 0 else { return nil }
        if count > 0 { text += buffer[..<count] }
        var lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        text = Array(lines.removeLast())
        return lines.map { String(decoding: $0, as: UTF8.self) }
    }
}
