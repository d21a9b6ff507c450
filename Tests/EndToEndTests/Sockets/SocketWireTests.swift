// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import SluiceAPI
import SluiceSockets
import StageTesting
import Testing

/// The wire as docs/sockets.md has it, in Python.
enum SocketWire {
    /// `PATH MESSAGE COUNT KIND`: sends so many sockets of a kind (or none) with the message, prints the answer, and fails
    /// unless it is OK; then holds the sockets until it is ended, where it joined.
    static let script = """
        import socket, sys, time
        path, message, count, kind = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
        make = {
            "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            "tcp6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM),
            "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP),
            "unix": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
            "file": lambda: open("/dev/null"),
        }[kind]
        mine = [make() for _ in range(count)]
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        manager.connect(path)
        if mine: socket.send_fds(manager, [message.encode()], [s.fileno() for s in mine])
        else: manager.send(message.encode())
        answer = manager.recv(8192).decode()
        print(answer, flush=True)
        if not answer.startswith("OK"): sys.exit(1)
        time.sleep(60)
        """
}

extension EndToEnd {
    @Suite struct SocketWireTests {
        private static func send(
            _ sockets: SocketSite, _ message: String, _ count: Int, _ kind: String
        ) throws -> (process: LabProcess, answer: String) {
            let process = try sockets.lab.spawn(
                ["python3", "-c", SocketWire.script, sockets.joinSocket, message, "\(count)", kind])
            try sockets.lab.until("an answer to \(message)") { !process.output.isEmpty || !process.isRunning }
            return (process, process.output.trimmingCharacters(in: .whitespacesAndNewlines) + process.errors)
        }

        @Test func fromPython() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                try sockets.site.apply(SocketSite.watching())
                let before = try sockets.descriptors()
                let joined = try Self.send(sockets, "join dns", 3, "udp")
                #expect(joined.answer == "OK 3")
                #expect(try Self.send(sockets, "join dns", 1, "tcp6").answer == "OK 1")
                #expect(try Self.send(sockets, "join dns replace", 1, "raw").answer == "OK 1")
                #expect(try sockets.members().count == 5)
                #expect(try Self.send(sockets, "leave dns", 1, "udp").answer == "OK 0")
                let bad: [(String, Int, String, String)] = [
                    ("join dns", 1, "unix", "ERROR join dns: one of the sockets is neither IPv4 nor IPv6"),
                    ("join dns", 1, "file", "ERROR join dns: one of the descriptors is no socket"),
                    ("join dns", 0, "udp", "ERROR the message came without sockets (SCM_RIGHTS)"),
                    ("join web", 1, "udp", "ERROR there is no group \"web\"; groups: dns"),
                    ("join ../x", 1, "udp", "ERROR hook \"socket-filter:../x\": a group's name has 1 to 32 letters"),
                    ("part dns", 1, "udp", "ERROR expected \"join GROUP\", \"join GROUP replace\" or \"leave GROUP\""),
                    ("join dns replace ", 1, "udp", "ERROR expected"),
                    (
                        "join " + String(repeating: "x", count: 300), 1, "udp",
                        "ERROR a message has at most 256 bytes and 253"
                    ),
                ]
                for (message, count, kind, says) in bad {
                    let answer = try Self.send(sockets, message, count, kind).answer
                    #expect(answer.hasPrefix(says), "\(message): \(answer)")
                }
                #expect(try sockets.members().count == 5)
                // A socket leaves its group with its last descriptor.
                joined.process.kill()
                try lab.until("the kernel has forgotten three") { try sockets.members().count == 2 }
                try lab.until("nothing has leaked") { try sockets.descriptors() <= before }
            }
        }

        @Test func whoSaysNothingKeepsNobodyOut() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                try sockets.site.apply(SocketSite.watching())
                let silent = try lab.spawn([
                    "python3", "-c",
                    """
                    import socket, sys, time
                    held = []
                    for _ in range(15):
                        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                        s.connect(sys.argv[1])
                        held.append(s)
                    print("there", flush=True)
                    time.sleep(60)
                    """, sockets.joinSocket,
                ])
                try lab.until("they are connected") { silent.output.contains("there") }
                #expect(try Self.send(sockets, "join dns", 1, "udp").answer == "OK 1")
                let before = try sockets.descriptors()
                try lab.until("the silent ones are let go", timeout: .seconds(15)) {
                    try sockets.descriptors() <= before - 15
                }
            }
        }

        @Test func fromSwift() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                try sockets.site.apply(SocketSite.gate(false))
                let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
                defer { close(socket) }
                let group = SocketGroup("dns", path: sockets.joinSocket)
                #expect(try group.join([socket]) == 1)
                #expect(try group.join([socket, socket]) == 0)
                #expect(try sockets.members().map(\.pid) == [getpid()])
                #expect(try SocketFilterState(of: socket) == .eBPF)
                #expect(try group.leave([socket]) == 1)
                #expect(try SocketFilterState(of: socket) == SocketFilterState.none)
                #expect(throws: SocketGroupError.self) {
                    try SocketGroup("web", path: sockets.joinSocket).join([socket])
                }
                let nobody = #expect(throws: SocketGroupError.self) {
                    try SocketGroup("dns", path: "\(lab.directory)/nothing").join([socket])
                }
                #expect(nobody?.message.contains("cannot connect to \(lab.directory)/nothing") == true)
                #expect(throws: SocketGroupError.self) { try group.join([]) }
                #expect(throws: SocketGroupError.self) { try group.join([Int32](repeating: socket, count: 254)) }
            }
        }
    }
}
