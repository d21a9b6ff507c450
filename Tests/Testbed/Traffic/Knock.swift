// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc

/// New connections at a steady rate, each for one request; a report at the end.
struct Knock: ParsableCommand {
    @Option(help: "Where to, as in 198.51.100.10:7007.") var to: Endpoint
    @Option(help: "Connections a second.") var rate = 100
    @Option(help: "For how long.") var seconds = 10
    @Option(help: "Whoever does not answer for so long, in ms, is broken.") var patience = 8000
    @Option(help: "What the report is called.") var phase = "knock"

    func run() throws {
        let pattern = Pattern(), start = now(), all = rate * seconds
        var crowd = Crowd(patience: patience), report = Report(phase: phase), opened = 0
        while opened < all || !crowd.members.isEmpty {
            let due = min(all, (now() - start) * rate / 1000)
            while opened < due {
                crowd.add(try Conversation(opened, to: to, pattern: pattern))
                opened += 1
            }
            for (member, trouble) in crowd.poll(at: 0) { report.count(member, trouble) }
            for member in crowd.members where member.isResting && member.answered < 0 { member.ask() }
            for member in crowd.remove(where: { $0.answered >= 0 }) {
                report.bytes += member.checked
                report.servers[member.server ?? "none", default: 0] += 1
                report.count(opened: member)
            }
            usleep(3000)
        }
        report.connections = all
        try report.write()
    }
}
