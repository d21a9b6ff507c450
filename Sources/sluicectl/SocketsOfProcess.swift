// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import SluiceAPI
import SluiceSockets

/// `--pid P --local ADDRESS:PORT/PROTOCOL [--all]`.
struct SocketsOfProcess: ParsableArguments {
    @Option(help: .init("The process that has the sockets.", valueName: "pid"))
    var pid: Int32?

    @Option(
        help: .init(
            "Where it is bound: 0.0.0.0:53/udp, [::]:53/tcp; *:53/udp for any address. Of TCP sockets those that listen, of "
                + "UDP those that are not connected.", valueName: "address"))
    var local: String?

    @Flag(help: "All sockets that match, where they are several.")
    var all = false

    var isGiven: Bool { pid != nil && local != nil }

    func validate() throws {
        guard (pid == nil) == (local == nil) else { throw ValidationError("--pid and --local go together") }
    }

    func take() throws -> [Descriptor] {
        raiseDescriptorLimit()
        do {
            return try ProcessSockets(of: pid ?? 0).matching(LocalPattern(parsing: local ?? ""), all: all)
        } catch {
            throw APIErrorBody(code: "refused", message: "take sockets: \(error)")
        }
    }
}

/// Where sockets are handed over.
struct JoinOptions: ParsableArguments {
    @Option(
        help: .init(
            "Where the daemon takes sockets (default: $SLUICE_JOIN_SOCKET, else \(SocketGroup.defaultPath)).",
            valueName: "path"))
    var joinSocket: String?

    /// Hands sockets over, as many at a time as a message takes, and adds up what became of them.
    func send(
        _ sockets: [Descriptor], to name: String, _ global: GlobalOptions,
        _ body: (SocketGroup, [Int32]) throws(SocketGroupError) -> Int
    ) throws -> Int {
        let path =
            joinSocket ?? GlobalOptions.variable("SLUICE_JOIN_SOCKET") ?? SocketGroup.path(besideAPI: global.socketPath)
        let group = SocketGroup(name, path: path)
        var done = 0
        for start in stride(from: 0, to: sockets.count, by: SocketGroup.most) {
            let some = sockets[start..<min(start + SocketGroup.most, sockets.count)]
            do {
                done += try body(group, some.map(\.raw))
            } catch {
                let before = start > 0 ? "; before it \(done) were done" : ""
                throw APIErrorBody(code: "refused", message: "\(error)\(before)")
            }
        }
        return done
    }
}

/// The sockets that systemd passed: `LISTEN_FDS` of them from descriptor 3 on, if `LISTEN_PID` means this process.
enum PassedSockets {
    static func all() throws(APIErrorBody) -> [Descriptor] {
        guard GlobalOptions.variable("LISTEN_PID") == "\(getpid())",
            let count = GlobalOptions.variable("LISTEN_FDS").flatMap({ Int32($0) }), count > 0
        else {
            throw APIErrorBody(
                code: "invalid-request",
                message: "--listen-fds: systemd has passed no sockets to this command; a service gets them by Sockets=")
        }
        return (3..<3 + count).map { Descriptor($0) }
    }
}

/// The sockets of a group, seen and taken with the rights of who runs this.
enum MemberSockets {
    /// The report with the processes that the daemon may not see.
    static func named(_ report: SocketGroupReport) -> SocketGroupReport {
        var report = report
        let unknown = report.sockets.filter { $0.pid == nil && $0.inode != 0 }.map(\.inode)
        let holders = ProcessSockets.holders(of: Set(unknown))
        for (index, socket) in report.sockets.enumerated() where socket.pid == nil {
            guard let holder = holders[socket.inode] else { continue }
            report.sockets[index].pid = holder.pid
            report.sockets[index].command = ProcessSockets.command(of: holder.pid)
        }
        return report
    }

    /// All of them that a process still holds.
    /// - Returns: Those taken, and why others could not be.
    static func all(of report: SocketGroupReport) throws -> ([Descriptor], missed: [String]) {
        raiseDescriptorLimit()
        let holders = ProcessSockets.holders(of: Set(report.sockets.map(\.inode)).subtracting([0]))
        var taken: [Descriptor] = []
        var missed: [String] = []
        for socket in report.sockets where socket.inode != 0 {
            let title = "\(socket.local)/\(socket.transport)"
            guard let holder = holders[socket.inode] else {
                missed.append("\(title): no process is seen that holds it; root sees all")
                continue
            }
            do {
                if let descriptor = try ProcessSockets(of: holder.pid).take(holder.descriptor),
                    SocketFacts(of: descriptor.raw)?.inode == socket.inode
                {
                    taken.append(descriptor)
                }
            } catch {
                missed.append("\(title): \(error)")
            }
        }
        return (taken, missed)
    }
}

/// What became of sockets.
struct SocketChange: Encodable {
    var group: String
    /// How many it was about.
    var sockets: Int
    /// How many joined or left.
    var changed: Int
}

/// As many descriptors as one may have.
private func raiseDescriptorLimit() {
    var limits = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0 else { return }
    limits.rlim_cur = limits.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
}

func plural(_ count: Int) -> String { count == 1 ? "1 socket" : "\(count) sockets" }
