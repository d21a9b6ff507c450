// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import NIOPosix
import StageKit
import StageTesting
import Synchronization
import Testing

@testable import L4LB

/// A server on loopback that a thread serves: each address of 127.0.0.0/8 is there without asking.
private final class Loopback: Sendable {
    let descriptor: Int32
    let port: UInt16
    private let isOver = Mutex(false)
    private let thread = Mutex<LabThread?>(nil)

    /// - Parameter serve: Called as long as there is something to read.
    init(
        _ type: __socket_type, on address: String, port: UInt16 = 0, serve: (@Sendable (Int32) -> Void)? = nil
    ) throws {
        descriptor = socket(AF_INET, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        var local = sockaddr_in()
        local.sin_family = sa_family_t(AF_INET)
        local.sin_port = port.bigEndian
        local.sin_addr.s_addr = inet_addr(address)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let status = withUnsafeMutablePointer(to: &local) { local in
            local.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) + getsockname(descriptor, $0, &length)
            }
        }
        #expect(status == 0)
        self.port = UInt16(bigEndian: local.sin_port)
        if type == SOCK_STREAM { listen(descriptor, 100) }
        guard let serve else { return }
        thread.withLock {
            $0 = LabThread { [self] in
                while !isOver.withLock({ $0 }) {
                    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                    if poll(&waiting, 1, 20) > 0 { serve(descriptor) }
                }
            }
        }
    }

    func stop() {
        isOver.withLock { $0 = true }
        thread.withLock(\.self)?.join()
        close(descriptor)
    }
}

@Suite("Probers", .serialized)
struct ProberTests {
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    private func target(_ address: IPAddress = "127.0.0.1") -> CheckTarget {
        CheckTarget(pool: "web", server: "edge1", address: address)
    }

    private func check(_ kind: HealthCheck.Kind, _ port: UInt16) -> HealthCheck {
        var check = HealthCheck(kind, port: port)
        check.timeout = Interval(milliseconds: 300)
        return check
    }

    @Test func aConnectionIsWell() async throws {
        let server = try Loopback(SOCK_STREAM, on: "127.0.0.1")
        let prober = StreamProber(Configuration(), interface: nil, group: Self.group)
        #expect(await prober.fault(of: target(), check(.tcp, server.port)) == nil)
        server.stop()
        let refused = await prober.fault(of: target(), check(.tcp, server.port))
        #expect(refused?.contains("Connection refused") ?? false, "\(refused ?? "well")")
    }

    /// Nobody answers there: the check ends in its time.
    @Test func whatDoesNotAnswerIsGivenUp() async throws {
        // Its queue is full, so that further connections are not answered.
        let server = try Loopback(SOCK_STREAM, on: "127.0.0.1")
        listen(server.descriptor, 0)
        let prober = StreamProber(Configuration(), interface: nil, group: Self.group)
        let began = ContinuousClock.now
        var faults: [String?] = []
        for _ in 0..<4 { faults.append(await prober.fault(of: target(), check(.http, server.port))) }
        #expect(faults.allSatisfy { $0 != nil }, "\(faults)")
        #expect(ContinuousClock.now - began < .seconds(3))
        server.stop()
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", nil), ("HTTP/1.1 302 Found\r\n\r\n", nil),
        ("HTTP/1.1 503 Busy\r\n\r\n", "answers with status 503"),
        ("SSH-2.0-x\r\n\r\n", "answers something that is no HTTP"),
        ("", "closes the connection without an answer"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", nil),
    ])
    func httpGoesByItsStatus(answer: String, fault: String?) async throws {
        let asked = Mutex("")
        let server = try Loopback(SOCK_STREAM, on: "127.0.0.1") { listener in
            let connection = accept(listener, nil, nil)
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(connection, &buffer, buffer.count, 0)
            asked.withLock { $0 = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self) }
            send(connection, answer, answer.utf8.count, Int32(MSG_NOSIGNAL))
            close(connection)
        }
        var check = check(.http, server.port)
        check.path = "/health?full"
        check.host = "www.example.org"
        let found = await StreamProber(Configuration(), interface: nil, group: Self.group).fault(of: target(), check)
        if let fault { #expect(found?.hasPrefix(fault) ?? false, "\(found ?? "well")") } else { #expect(found == nil) }
        let request = asked.withLock(\.self)
        #expect(request.hasPrefix("GET /health?full HTTP/1.1\r\n") && request.contains("Host: www.example.org\r\n"))
        server.stop()
    }

    /// Whatever its certificate says.
    @Test func httpsIsHTTPOverTLS() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let free = try Loopback(SOCK_STREAM, on: "127.0.0.1")
        free.stop()
        func openssl(_ arguments: String...) throws -> Process {
            let process = Process()
            process.executableURL = URL(filePath: "/usr/bin/openssl")
            process.arguments = arguments
            process.currentDirectoryURL = folder
            (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
            process.standardInput = FileHandle.nullDevice
            try process.run()
            return process
        }
        try openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
            "/CN=somebody.else", "-keyout", "key.pem", "-out", "certificate.pem"
        ).waitUntilExit()
        let server = try openssl(
            "s_server", "-accept", "127.0.0.1:\(free.port)", "-cert", "certificate.pem", "-key", "key.pem", "-www")
        defer { server.terminate() }
        let prober = StreamProber(Configuration(), interface: nil, group: Self.group)
        var check = check(.https, free.port)
        check.host = "www.example.org"
        check.timeout = Interval(milliseconds: 2000)
        var fault: String? = "not asked"
        for _ in 0..<100 {
            fault = await prober.fault(of: target(), check)
            if fault == nil { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(fault == nil)
        // Plain HTTP is not what it speaks, and TLS not what others do.
        #expect(await prober.fault(of: target(), self.check(.http, free.port)) != nil)
        let plain = try Loopback(SOCK_STREAM, on: "127.0.0.1") { listener in
            let connection = accept(listener, nil, nil)
            send(connection, "HTTP/1.1 200 OK\r\n\r\n", 19, Int32(MSG_NOSIGNAL))
            close(connection)
        }
        let refused = await prober.fault(of: target(), self.check(.https, plain.port))
        #expect(refused?.hasPrefix("cannot speak TLS") ?? false, "\(refused ?? "well")")
        plain.stop()
    }

    /// The query is in a tunnel's datagram to the server, and the answer comes from the VIP, straight to who asked.
    @Test func aQueryGoesThroughTheTunnel() async throws {
        let vip = try Loopback(SOCK_DGRAM, on: "127.0.0.3")
        let seen = Mutex<[UInt8]>([])
        let server = try Loopback(SOCK_DGRAM, on: "127.0.0.2") { tunnel in
            var buffer = [UInt8](repeating: 0, count: 2048)
            let count = recv(tunnel, &buffer, buffer.count, 0)
            let datagram = Array(buffer.prefix(max(0, count)))
            seen.withLock { $0 = datagram }
            // GUE, IPv4 and UDP; the answer goes to whoever they say asked.
            let (ip, udp, query) = (datagram[12..<32], datagram[32..<40], datagram[40...])
            var answer = Array(query)
            answer[2] |= 0x80
            var client = sockaddr_in()
            client.sin_family = sa_family_t(AF_INET)
            client.sin_port = Bytes(Array(udp[32..<34])).number()
            client.sin_addr.s_addr = Bytes(Array(ip[24..<28])).number()
            _ = withUnsafePointer(to: &client) { client in
                client.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(vip.descriptor, answer, answer.count, 0, $0, 16)
                }
            }
        }
        var configuration = Configuration.sample()
        configuration.director.sourceV4 = "127.0.0.1"
        configuration.guePort = server.port
        configuration.services[2].vip = IPPrefix("127.0.0.3", length: 32)
        configuration.services[2].ports = PortRange(vip.port)
        var check = check(.dns, vip.port)
        check.query = "www.example.org"
        configuration.pools[0].check = check
        let prober = TunnelProber(configuration, group: Self.group)
        #expect(await prober.fault(of: target("127.0.0.2"), check) == nil)
        let datagram = seen.withLock(\.self)
        #expect(Array(datagram.prefix(12)) == GUEHeader(isIPv4: true).bytes)
        #expect(internetChecksum(datagram[12..<32]) == 0)
        #expect(datagram[32 + 2..<32 + 4] == Bytes(number: vip.port.bigEndian).raw[...])
        server.stop()
        #expect(await prober.fault(of: target("127.0.0.2"), check) == "does not answer within 300ms")
        vip.stop()
    }
}
