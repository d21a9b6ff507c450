// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageTesting

/// A daemon, services with real sockets, and a client in another namespace.
final class SocketSite {
    let site: Site
    var lab: Lab { site.lab }
    var joinSocket: String { site.socket + ".join" }

    init(_ lab: Lab) throws {
        site = try Site(lab, plugins: ["noop"])
        try lab.ip(["link set lo up"])
        try site.start()
    }

    /// A chain that keeps so many bytes of each packet: none (which drops it), or more than a packet can have.
    static func gate(_ isOpen: Bool, group: String = "dns", extra: String = "") -> String {
        """
        chains:
          - hook: socket-filter:\(group)
        \(extra)    stages:
              - name: gate
                object: \(BuildProducts.object("gate", of: "fixture-stage"))
                rodata: {bytes_kept: \(isOpen ? 65_536 : 0)}
        """
    }

    /// A chain that looks at all and keeps it.
    static func watching(_ group: String = "dns", extra: String = "") -> String {
        Site.noops(1, hook: "socket-filter:\(group)", extra: extra)
    }

    /// A service that echoes what its sockets receive; see ``SocketService``.
    func service(_ sockets: [SocketService.Socket], prefix: [String] = []) throws -> SocketService {
        try SocketService(lab, sockets, prefix: prefix)
    }

    @discardableResult
    func add(
        _ service: SocketService, _ local: String, _ more: String..., group: String = "dns"
    ) throws -> Site.Result {
        try site.ctl(["socket", "add", group, "--pid", "\(service.pid)", "--local", local] + more)
    }

    func mustAdd(_ service: SocketService, _ local: String, _ more: String..., group: String = "dns") throws {
        let result = try site.ctl(["socket", "add", group, "--pid", "\(service.pid)", "--local", local] + more)
        guard result.succeeded else { throw LabError("add \(local): \(result.errors)\n\(site.daemon?.errors ?? "")") }
    }

    /// What a refusal says.
    func refusal(_ arguments: String...) throws -> String {
        let result = try site.ctl(arguments)
        guard result.status == .exited(1) else { throw LabError("\(arguments) was not refused: \(result.output)") }
        return result.errors
    }

    /// How many descriptors the daemon has open.
    func descriptors() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(site.daemon!.pid)/fd").count
    }

    func members(_ group: String = "dns") throws -> [SocketMember] {
        let reports: [SocketGroupReport] = try site.decode(site.must("socket", "list", group, "--output", "json"))
        return reports.flatMap(\.sockets)
    }

    /// Sends datagrams of these sizes from the client to a service, and says of which the echo came back, whole.
    func echoed(_ address: String, port: Int, sizes: [Int] = [10]) throws -> [Int] {
        let output = try lab.check(
            ["python3", "-c", Self.client, address, "\(port)"] + sizes.map(String.init), netns: "client")
        return output.split(separator: " ").compactMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    private static let client = """
        import socket, sys
        address, port, sizes = sys.argv[1], int(sys.argv[2]), [int(n) for n in sys.argv[3:]]
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        s.connect((address, port))
        came = []
        for size in sizes:
            payload = bytes((size + i) % 251 for i in range(size))
            s.settimeout(0.3)
            s.send(payload)
            try:
                if s.recv(65536) == payload: came.append(size)
            except (TimeoutError, ConnectionRefusedError): pass
        print(*came)
        """
}

/// A process with sockets of all kinds, in Python, that echoes the datagrams it receives.
struct SocketService {
    /// One line of what it opens.
    struct Socket: ExpressibleByStringLiteral {
        var text: String
        /// `udp 10.9.0.1 53`, `tcp :: 53`, `raw 10.9.0.1 0`, `unix`; then any of `classic` (has a filter), `lock`, `share`
        /// (the port), `times=N`.
        init(stringLiteral text: String) { self.text = text }
    }

    let process: LabProcess
    var pid: Int32 { process.pid }
    /// Of the first socket, as the service itself sees it: its cookie.
    let cookies: [UInt64]

    init(_ lab: Lab, _ sockets: [Socket], prefix: [String]) throws {
        let process = try lab.spawn(prefix + ["python3", "-c", Self.script] + sockets.map(\.text))
        try lab.until("the service is ready: \(process.errors)") {
            process.output.contains("ready") || !process.isRunning
        }
        guard process.output.contains("ready") else { throw LabError("the service: \(process.errors)") }
        self.process = process
        cookies = process.output.split(separator: "\n").filter { $0.hasPrefix("cookie ") }
            .compactMap { UInt64($0.dropFirst(7)) }
    }

    private static let script = """
        import ctypes, selectors, socket, struct, sys, time
        kinds = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM, "raw": socket.SOCK_RAW}
        every = selectors.DefaultSelector()
        held = []
        for line in sys.argv[1:]:
            words = line.split()
            options = set(words[3:] if words[0] != "unix" else words[1:])
            times = next((int(o[6:]) for o in options if o.startswith("times=")), 1)
            for _ in range(times):
                if words[0] == "unix":
                    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                else:
                    family = socket.AF_INET6 if ":" in words[1] else socket.AF_INET
                    s = socket.socket(family, kinds[words[0]], socket.IPPROTO_UDP if words[0] == "raw" else 0)
                    if "share" in options: s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                    if words[0] != "raw": s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    s.bind((words[1], int(words[2])))
                    if words[0] == "tcp": s.listen(64)
                if "classic" in options:
                    code = struct.pack("HBBI", 6, 0, 0, 65536)
                    keep = ctypes.create_string_buffer(code)
                    s.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", 1, ctypes.addressof(keep)))
                if "lock" in options: s.setsockopt(socket.SOL_SOCKET, 44, 1)
                held.append(s)
                print("cookie", struct.unpack("Q", s.getsockopt(socket.SOL_SOCKET, 57, 8))[0], flush=True)
                if words[0] in ("udp", "tcp"): every.register(s, selectors.EVENT_READ, words[0])
        print("ready", flush=True)
        while True:
            for key, _ in every.select():
                if key.data == "tcp":
                    c, _ = key.fileobj.accept()
                    held.append(c)
                    every.register(c, selectors.EVENT_READ, "stream")
                elif key.data == "stream":
                    data = key.fileobj.recv(65536)
                    if data: key.fileobj.sendall(data)
                    else: every.unregister(key.fileobj), key.fileobj.close()
                else:
                    data, peer = key.fileobj.recvfrom(65536)
                    key.fileobj.sendto(data, peer)
        """
}
