// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Events: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what was done to the chains, by whom, and how it ended.")

    @Option(help: .init("Only events after this one.", valueName: "id"))
    var since: Int64?

    @Flag(help: "Go on with each event as it happens; without --since only those.")
    var follow = false

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if let since, since < 0 { throw ValidationError("--since takes an event's id, 0 or more") }
    }

    func run() async throws {
        try await global.perform { client, printer in
            if follow {
                for try await event in client.liveEvents(since: since) {
                    try printer.showOne(event) { Self.line(event, $0) }
                }
            } else {
                var events: [Event] = []
                while true {
                    let page = try await client.events(since: events.last?.id ?? since ?? 0, limit: 1000)
                    events += page
                    if page.isEmpty { break }
                }
                try printer.show(events) { Self.text(events, $0) }
            }
        }
    }

    static func text(_ events: [Event], _ style: Style) -> String {
        var table = Table(columns: [
            .right("ID"), .left("TIME"), .left("ACTION"), .left("HOOK"), .left("OUTCOME"), .left("AUTHOR"),
            .left("MESSAGE"),
        ])
        table.rows = events.map { event in
            [
                "\(event.id)", .init(event.time), .init(event.action), .init(event.hook ?? "-"),
                .init(event.outcome, paint(event, style)), .init(event.author), .init(event.message),
            ]
        }
        return events.isEmpty ? "no events\n" : table.render(style)
    }

    /// One event on a line of its own: what follows cannot be aligned with what has not come yet.
    static func line(_ event: Event, _ style: Style) -> String {
        let outcome = paint(event, style)(event.outcome)
        return "\(event.time) \(event.action) \(event.hook ?? "-") \(outcome) (\(event.author)): \(event.message)\n"
    }

    private static func paint(_ event: Event, _ style: Style) -> (String) -> String {
        switch event.outcome {
        case "failed": style.red
        case "done": style.green
        default: style.dim
        }
    }
}
