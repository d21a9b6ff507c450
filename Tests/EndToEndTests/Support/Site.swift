// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageTesting

/// A machine in small, in a lab: an interface `edge0` whose other end is a client in a namespace of its own, installed
/// plugins, and a place for a daemon.
final class Site {
    let lab: Lab
    let socket: String
    let state: String
    let bpffs: String
    let plugins: String
    private(set) var daemon: LabProcess?

    static let edge = "10.9.0.1"
    static let client = "10.9.0.2"

    init(_ lab: Lab, plugins names: [String] = ["volumetric-dos-1_0", "volumetric-dos-1_1", "noop", "fixture-stage"]) throws {
        self.lab = lab
        socket = "\(lab.directory)/sluiced.sock"
        state = "\(lab.directory)/state"
        bpffs = "\(lab.bpffs)/sluice"
        plugins = "\(lab.directory)/plugins"
        try lab.addNamespace("client")
        try lab.addVeth(
            VethEnd("edge0", addresses: ["\(Self.edge)/24", "fd00:9::1/64"]),
            VethEnd("client0", netns: "client", addresses: ["\(Self.client)/24", "fd00:9::2/64"]))
        for name in names { try install(name) }
    }

    /// Lays a built plugin out as an installation does; its name and version are what it says itself.
    func install(_ target: String) throws {
        struct Answer: Decodable { var name, version: String }
        let executable = BuildProducts.path(target)
        let answer = try JSONDecoder().decode(Answer.self, from: Data(lab.check([executable, "describe"]).utf8))
        let folder = "\(plugins)/\(answer.name)/\(answer.version)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: executable, toPath: "\(folder)/\(answer.name)")
        let resources = BuildProducts.path("sluice_\(target).resources")
        for object in try FileManager.default.contentsOfDirectory(atPath: resources) where object.hasSuffix(".bpf.o") {
            try FileManager.default.copyItem(atPath: "\(resources)/\(object)", toPath: "\(folder)/\(object)")
        }
    }

    /// Starts the daemon and waits until it answers, or has ended (as with a fault during recovery).
    /// - Parameter prefix: a command to run it by, such as `setpriv`.
    @discardableResult
    func start(fault: String? = nil, prefix: [String] = [], keep: Int = 5) throws -> LabProcess {
        let process = try lab.spawn(
            prefix + [
                BuildProducts.path("sluiced"), "--socket", socket, "--bpffs", bpffs, "--state", state, "--plugins", plugins,
                "--keep", "\(keep)", "--log-level", "debug",
            ],
            environment: ["SLUICE_FAULT": fault ?? ""])
        daemon = process
        try lab.until("sluiced answers: \(process.errors)") {
            if !process.isRunning { return true }
            return try FileManager.default.fileExists(atPath: socket) && ctl("version").status == .exited(0)
        }
        return process
    }

    /// Ends the daemon by SIGKILL.
    func killDaemon() {
        daemon?.send(signal: 9)
        _ = try? daemon?.wait()
    }

    struct Result {
        var status: ExitStatus
        var output: String
        var errors: String
        var succeeded: Bool { status == .exited(0) }
    }

    /// Runs `sluicectl`, whatever comes of it.
    func ctl(_ arguments: String..., input: String? = nil) throws -> Result {
        let process = try lab.spawn(
            [BuildProducts.path("sluicectl")] + arguments, input: input, environment: ["SLUICE_SOCKET": socket])
        let status = try process.wait(timeout: .seconds(60))
        return Result(status: status, output: process.output, errors: process.errors)
    }

    /// Runs `sluicectl` and takes its success for granted.
    @discardableResult
    func must(_ arguments: String..., input: String? = nil) throws -> String {
        let process = try lab.spawn(
            [BuildProducts.path("sluicectl")] + arguments, input: input, environment: ["SLUICE_SOCKET": socket])
        let status = try process.wait(timeout: .seconds(60))
        guard status == .exited(0) else {
            throw LabError("sluicectl \(arguments.joined(separator: " ")): \(status)\n\(process.errors)\n\(daemon?.errors ?? "")")
        }
        return process.output
    }

    @discardableResult
    func apply(_ spec: String) throws -> String { try must("apply", "-f", "-", input: spec) }

    func status(_ hook: String = "xdp:edge0") throws -> ChainStatus {
        try decode(must("status", hook, "--output", "json"))
    }

    func history(_ hook: String = "xdp:edge0") throws -> [GenerationRecord] {
        try decode(must("history", hook, "--output", "json"))
    }

    func events() throws -> [Event] { try decode(must("events", "--output", "json")) }

    func decode<T: Decodable>(_ text: String) throws -> T {
        do {
            return try JSONDecoder().decode(T.self, from: Data(text.utf8))
        } catch {
            throw LabError("not a \(T.self): \(error)\n\(text)")
        }
    }

    /// Whether a UDP datagram from the client to this port of the edge comes through.
    func passes(port: UInt16) throws -> Bool {
        let before = try datagrams(port)
        return before
    }

    private func datagrams(_ port: UInt16) throws -> Bool {
        let receiver = try lab.spawn(["timeout", "1", "python3", "-c", Self.receive, Self.edge, "\(port)"])
        try lab.until("the receiver listens") { receiver.output.contains("ready") || !receiver.isRunning }
        try lab.check(["python3", "-c", Self.send, Self.edge, "\(port)"], netns: "client")
        return try receiver.wait() == .exited(0)
    }

    private static let receive = """
        import socket, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], int(sys.argv[2])))
        print("ready", flush=True); s.settimeout(0.5); s.recv(100)
        """
    private static let send = """
        import socket, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(3): s.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
        """
}

extension Site {
    /// A chain of `noop` stages.
    static func noops(_ count: Int, hook: String = "xdp:edge0", extra: String = "") -> String {
        "chains:\n  - hook: \(hook)\n\(extra)    stages:\n"
            + (1...count).map { "      - {name: s\($0), plugin: noop}\n" }.joined()
    }

    /// A chain that drops UDP to one port.
    static func dropping(port: Int, version: String = "1.0", hook: String = "xdp:edge0") -> String {
        """
        chains:
          - hook: \(hook)
            stages:
              - name: dos
                plugin: volumetric-dos
                version: "\(version)"
                config:
                  rules:
                    - {name: blocked, protocol: udp, destination-port: \(port)}
        """
    }
}
