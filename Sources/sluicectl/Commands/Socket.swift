// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI
import SluiceSockets

struct Socket: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring sockets into a group that a chain filters (socket-filter:GROUP), list them, take them out.",
        discussion: """
            A socket stays in its group until it is closed, through upgrades of the filter and restarts of the daemon. This \
            command takes the sockets from their process with its own rights: as root, or as who runs that process and may \
            trace it. Joining needs root or the group sluice.
            """,
        subcommands: [SocketAdd.self, SocketRemove.self, SocketList.self])
}

struct SocketAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Bring sockets into a group: all of them or, if one cannot be, none.",
        discussion: """
            sluicectl socket add dns --pid 812 --local 0.0.0.0:53/udp
            In a unit: ExecStartPost=+/usr/bin/sluicectl socket add dns --pid $MAINPID --local *:53/udp --all
            """)

    @Argument(help: .init("The group, without socket-filter:.", valueName: "group"))
    var group: String

    @OptionGroup var which: SocketsOfProcess

    @Flag(help: "The sockets that systemd passed to this command (sd_listen_fds(3)).")
    var listenFds = false

    @Flag(help: "In place of the filter that a socket has already.")
    var replace = false

    @OptionGroup var join: JoinOptions
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard listenFds != which.isGiven else { throw ValidationError("give --pid and --local, or --listen-fds") }
    }

    func run() async throws {
        try await global.perform { _, printer in
            let sockets = try listenFds ? PassedSockets.all() : which.take()
            let joined = try join.send(sockets, to: group, global) { (group, sockets) throws(SocketGroupError) in
                try group.join(sockets, replacing: replace)
            }
            try printer.show(SocketChange(group: group, sockets: sockets.count, changed: joined)) {
                $0.bold("socket-filter:\(group)") + ": \(joined) of \(plural(sockets.count)) joined"
                    + (joined < sockets.count ? ", the others were in it already" : "") + "\n"
            }
        }
    }
}

struct SocketRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Take sockets out of a group, and the filter off them.")

    @Argument(help: .init("The group, without socket-filter:.", valueName: "group"))
    var group: String

    @OptionGroup var which: SocketsOfProcess
    @OptionGroup var join: JoinOptions
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard which.isGiven || which.all else {
            throw ValidationError("give --pid and --local, or --all for all sockets")
        }
    }

    func run() async throws {
        try await global.perform { client, printer in
            let (sockets, missed) =
                which.isGiven
                ? (try which.take(), []) : try MemberSockets.all(of: await client.sockets("socket-filter:\(group)"))
            let left = try join.send(sockets, to: group, global) { (group, sockets) throws(SocketGroupError) in
                try group.leave(sockets)
            }
            guard missed.isEmpty else {
                throw APIErrorBody(
                    code: "refused",
                    message: "remove sockets of \(group): \(plural(left)) left; not reached: "
                        + missed.prefix(5).joined(separator: "; ") + (missed.count > 5 ? "; and others" : ""))
            }
            try printer.show(SocketChange(group: group, sockets: sockets.count, changed: left)) {
                $0.bold("socket-filter:\(group)") + ": \(left) of \(plural(sockets.count)) left\n"
            }
        }
    }
}

struct SocketList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the sockets of groups.")

    @Argument(help: .init("A group, without socket-filter: (default: all).", valueName: "group"))
    var group: String?

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { client, printer in
            var hooks = group.map { ["socket-filter:\($0)"] }
            if hooks == nil {
                hooks = try await client.chains().filter { $0.live != nil }.map(\.hook)
                    .filter { $0.hasPrefix("socket-filter:") }
            }
            var reports: [SocketGroupReport] = []
            for hook in hooks ?? [] { reports.append(MemberSockets.named(try await client.sockets(hook))) }
            try printer.show(reports) { Self.text(reports, $0) }
        }
    }

    static func text(_ reports: [SocketGroupReport], _ style: Style) -> String {
        var table = Table(columns: [
            .left("GROUP"), .left("SOCKET"), .left("STATE"), .right("PID"), .left("COMMAND"), .left("JOINED"),
            .left("BY"),
            .right("COOKIE"),
        ])
        for report in reports {
            let group = String(report.hook.dropFirst("socket-filter:".count))
            table.rows += report.sockets.map { socket in
                [
                    .init(group), .init("\(socket.local)/\(socket.transport)"), .init(socket.state.rawValue),
                    .init(socket.pid.map(String.init) ?? "-"), .init(socket.command ?? "-"), .init(socket.joined),
                    .init(socket.byRule ? "rule" : "hand"), .init(String(socket.cookie)),
                ]
            }
        }
        let missed = reports.flatMap { report in
            report.missed.map { "\(style.yellow("note:")) \(report.hook): \($0)\n" }
        }
        return (table.rows.isEmpty ? "no sockets; sluicectl socket add brings them\n" : table.render(style))
            + missed.joined()
    }
}
