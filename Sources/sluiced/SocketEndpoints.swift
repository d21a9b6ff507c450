// SPDX-License-Identifier: Apache-2.0

import SluiceAPI

extension Endpoint {
    /// Groups of sockets. Joining takes descriptors, which HTTP cannot carry: ``JoinServer``.
    static let sockets: [Endpoint] = [
        .read("/v1/chains/{hook}/sockets", "The sockets of a group", answer: .object("SocketGroupReport")) {
            .json(try await $0.manager.sockets($0.hook))
        }
    ]
}

extension ObjectSchema {
    static let sockets: [ObjectSchema] = [
        .init(
            "SocketGroupReport", "The sockets of a group, at one moment.",
            [
                .needed("hook", .string, "`socket-filter:GROUP`."),
                .needed("sockets", .array(.object("SocketMember")), "A socket each."),
                .needed(
                    "missed", .array(.string),
                    "Sockets that a standing rule speaks of and that could not be brought into the group, with why."),
            ]),
        .init(
            "SocketMember", "One socket of a group.",
            [
                .needed("transport", .string, "`udp`, `tcp`, or the number of another protocol."),
                .needed("local", .string, "`0.0.0.0:53`, `[::]:53`."),
                .needed(
                    "state", .oneOf(SocketState.allCases.map(\.rawValue)),
                    "`open`: not connected. `accepted`: has the filter from a listening socket of the group. `closing`: no "
                        + "process holds it any more."),
                .needed("joined", .string, "When it, or the listening one, joined; ISO 8601, UTC."),
                .needed("byRule", .boolean, "Whether a standing rule brought it."),
                .needed("cookie", .counter, "The kernel's name of the socket; of an accepted one the listening one's."),
                .needed("inode", .counter, "The socket's inode, as in /proc/PID/fd; 0 when no process holds it."),
                .needed("netns", .integer, "The inode of its network namespace."),
                .optional("pid", .integer, "A process that holds it, where that may be seen."),
                .optional("command", .string, "That process's name."),
            ]),
    ]
}
