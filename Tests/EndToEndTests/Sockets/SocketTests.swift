// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import StageTesting
import Testing

extension EndToEnd {
    @Suite struct SocketTests {
        @Test(arguments: [("10.9.0.1", "10.9.0.1:5300/udp"), ("fd00:9::1", "[fd00:9::1]:5300/udp")])
        func theVerdictReachesTheSocketAndAFlipChangesIt(address: String, local: String) async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                let sizes = [0, 1, 31, 32, 1400]
                let service = try sockets.service([.init(stringLiteral: "udp \(address) 5300")])
                try sockets.site.apply(SocketSite.watching())
                #expect(try sockets.echoed(address, port: 5300, sizes: sizes) == sizes)
                #expect(try sockets.packets() == 0, "nobody has joined yet")
                try sockets.mustAdd(service, local)
                #expect(try sockets.echoed(address, port: 5300, sizes: sizes) == sizes)
                #expect(try sockets.packets() == sizes.count)
                try sockets.site.apply(SocketSite.gate(false))
                #expect(try sockets.echoed(address, port: 5300, sizes: sizes).isEmpty)
                try sockets.site.must("rollback", "socket-filter:dns")
                #expect(try sockets.echoed(address, port: 5300, sizes: sizes) == sizes)
                let member = try #require(try sockets.members().first)
                #expect(member.local + "/" + member.transport == local && member.state == .open)
                #expect(member.cookie == service.cookies[0] && member.pid == service.pid && member.command == "python3")
                #expect(try sockets.site.status("socket-filter:dns").sockets == 1)
                try sockets.site.apply(SocketSite.gate(false))
                try sockets.site.must("detach", "socket-filter:dns")
                #expect(try sockets.echoed(address, port: 5300, sizes: sizes) == sizes)
                #expect(try sockets.site.pins().isEmpty)
            }
        }

        @Test func socketsAreToldApart() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                try sockets.site.apply(SocketSite.watching())
                let service = try sockets.service([
                    "udp 10.9.0.1 53", "udp 0.0.0.0 5353", "tcp 0.0.0.0 53", "tcp :: 53", "udp :: 53", "unix",
                    "raw 10.9.0.1 0", "udp 10.9.0.1 99 share times=3",
                ])
                func refused(_ local: String, _ more: String..., says: String) throws {
                    let result = try sockets.site.ctl(
                        ["socket", "add", "dns", "--pid", "\(service.pid)", "--local", local] + more)
                    #expect(result.status == .exited(1) && result.errors.contains(says), "\(result.errors)")
                }
                try sockets.mustAdd(service, "0.0.0.0:53/tcp")
                try sockets.mustAdd(service, "[::]:53/udp")
                try refused(
                    "*:53/tcp", says: "2 sockets of process \(service.pid) match *:53/tcp: 0.0.0.0:53/tcp, [::]:53/tcp")
                try refused("10.9.0.2:53/udp", says: "has no socket 10.9.0.2:53/udp; those it has: 10.9.0.1:53/udp, ")
                try refused("10.9.0.1:99/udp", says: "3 sockets of process \(service.pid) match 10.9.0.1:99/udp")
                try refused("10.9.0.1/udp", says: "expected ADDRESS:PORT/udp or /tcp")
                try sockets.mustAdd(service, "10.9.0.1:99/udp", "--all")
                // Again: they are in it, and that is fine.
                let again = try sockets.add(service, "10.9.0.1:99/udp", "--all")
                #expect(again.output.contains("0 of 3 sockets joined, the others were in it already"))
                let states = try sockets.members().map { "\($0.local)/\($0.transport) \($0.state)" }.sorted()
                #expect(
                    states == [
                        "0.0.0.0:53/tcp listening", "10.9.0.1:99/udp open", "10.9.0.1:99/udp open",
                        "10.9.0.1:99/udp open",
                        "[::]:53/udp open",
                    ])
                // What a listening socket accepts has its filter, and is known as such.
                let client = try lab.spawn(
                    ["python3", "-c", Self.connection, "10.9.0.1", "53"], netns: "client")
                try lab.until("the connection is accepted") { try sockets.members().contains { $0.state == .accepted } }
                client.kill()
                try lab.until("the kernel has forgotten it") {
                    try !sockets.members().contains { $0.state == .accepted }
                }
                #expect(try sockets.site.must("socket", "remove", "dns", "--all").contains("5 of 5 sockets left"))
                #expect(try sockets.members().isEmpty)
                service.process.kill()
            }
        }

        private static let connection = """
            import socket, sys, time
            s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
            s.send(b"x"); s.recv(1); time.sleep(60)
            """
    }
}

extension SocketSite {
    /// What the first stage has seen.
    func packets(_ group: String = "dns") throws -> Int {
        Int(try site.status("socket-filter:\(group)").stages[0].counters?.packets ?? 0)
    }
}
