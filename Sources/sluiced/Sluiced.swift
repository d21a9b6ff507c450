// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import Logging
import SluiceAPI
import SluiceCore
import SluiceSockets

@main
struct Sluiced: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluiced",
        abstract: "The daemon of Sluice: keeps chains of BPF programs on the hooks of this machine.",
        discussion: """
            systemd starts it when somebody connects to its socket, and it leaves again when it has nothing to do: the \
            chains are pinned in the kernel and work without it. By hand it needs CAP_BPF, CAP_NET_ADMIN and \
            CAP_PERFMON, or root; --socket, --bpffs and --state keep a second instance apart from the first.
            """,
        version: SluiceVersion.current)

    @Option(help: .init("Where to listen, unless systemd passed a socket.", valueName: "path"))
    var socket = SluiceClient.defaultSocket

    @Option(
        help: .init(
            "Where sockets join groups, unless systemd passed a socket (default: \(SocketGroup.defaultPath), or with "
                + "--socket that path and \".join\").", valueName: "path"))
    var joinSocket: String?

    @Option(help: .init("The pins: a directory on a bpf file system.", valueName: "dir"))
    var bpffs = "/sys/fs/bpf/sluice"

    @Option(help: .init("The records and the copies of plugins in use.", valueName: "dir"))
    var state = "/var/lib/sluice"

    @Option(help: .init("Where plugins are installed; may be repeated.", valueName: "dir"))
    var plugins: [String] = []

    @Option(
        help: .init(
            "Leave after so many seconds without a connection, 0 for never (default: 60 on systemd's socket, else 0).",
            valueName: "seconds"))
    var idleExit: Int?

    @Option(help: .init("The user that plugins run as.", valueName: "user"))
    var pluginUser: String?

    @Option(help: .init("How many generations of a chain stay pinned for rollback, 1 to 100.", valueName: "n"))
    var keep = 5

    @Option(help: .init("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel = Logger.Level.info

    func validate() throws {
        guard (1...100).contains(keep) else { throw ValidationError("--keep takes a number from 1 to 100") }
        guard (0...86400).contains(idleExit ?? 0) else {
            throw ValidationError("--idle-exit takes a number of seconds from 0 to 86400")
        }
    }

    func run() async throws {
        // A reader of our stderr that goes away must not take us along.
        signal(SIGPIPE, SIG_IGN)
        let output = LogOutput(level: logLevel)
        LoggingSystem.bootstrap { _ in output }
        let logger = Logger(label: "sluiced")
        do {
            try await serve(logger)
        } catch {
            let message = (error as? APIErrorBody)?.message ?? "\(error)"
            logger.critical("\(message)")
            Notifier.status(message)
            throw ExitCode.failure
        }
    }

    private func serve(_ logger: Logger) async throws {
        let listening = try ListeningSocket.open(path: socket)
        defer { listening.remove() }
        let seconds = idleExit ?? (listening.isActivated ? 60 : 0)
        let joining = try ListeningSocket.openForJoining(
            path: joinSocket ?? SocketGroup.path(besideAPI: socket), beside: listening)
        defer { joining?.remove() }
        let manager = try await makeManager(logger)
        var daemon = Daemon(
            socket: listening, manager: manager, idleExit: seconds > 0 ? .seconds(seconds) : nil, logger: logger)
        daemon.joins = try joining.map { joining throws(Failure) in
            try JoinServer(socket: joining, groups: manager, logger: logger)
        }
        try await daemon.run()
        await manager.shutdown()
    }
}
