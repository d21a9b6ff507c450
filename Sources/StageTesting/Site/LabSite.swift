// SPDX-License-Identifier: Apache-2.0

import Foundation
public import StageKit

internal import BPF

/// A machine in small, in a lab: an interface `edge0` whose other end is a client in a namespace of its own, installed
/// plugins, and a place for a daemon.
public final class LabSite {
    public let lab: Lab
    public let socket: String
    public let state: String
    public let bpffs: String
    public let plugins: String
    public private(set) var daemon: LabProcess?

    public static let edge = "10.9.0.1"
    public static let client = "10.9.0.2"

    /// - Parameter names: targets of built plugins to install.
    public init(_ lab: Lab, plugins names: [String]) throws {
        self.lab = lab
        socket = "\(lab.directory)/sluiced.sock"
        state = "\(lab.directory)/state"
        bpffs = "\(lab.bpffs)/sluice"
        plugins = "\(lab.directory)/plugins"
        try lab.addNamespace("client")
        try addInterface()
        for name in names { try lab.installPlugin(name, into: plugins) }
    }

    /// Makes `edge0` and its other end; again, when it was deleted.
    public func addInterface() throws {
        try lab.addVeth(
            VethEnd("edge0", addresses: ["\(Self.edge)/24", "fd00:9::1/64"]),
            VethEnd("client0", netns: "client", addresses: ["\(Self.client)/24", "fd00:9::2/64"]))
    }

    /// Starts the daemon and waits until it answers, or has ended (as with a fault during recovery).
    /// - Parameters:
    ///   - prefix: a command to run it by, such as `setpriv`.
    ///   - idle: After how many idle seconds it leaves; 0 for never.
    @discardableResult
    public func start(fault: String? = nil, prefix: [String] = [], keep: Int = 5, idle: Int = 0) throws -> LabProcess {
        let process = try lab.spawn(
            prefix + [
                BuildProducts.path("sluiced"), "--socket", socket, "--bpffs", bpffs, "--state", state, "--plugins",
                plugins,
                "--keep", "\(keep)", "--idle-exit", "\(idle)", "--log-level", "debug",
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
    public func killDaemon() {
        daemon?.send(signal: 9)
        _ = try? daemon?.wait()
    }

    public struct Result {
        public var status: ExitStatus
        public var output: String
        public var errors: String
        public var succeeded: Bool { status == .exited(0) }
    }

    /// Runs `sluicectl`, whatever comes of it.
    public func ctl(_ arguments: String..., input: String? = nil) throws -> Result {
        try ctl(arguments, input: input)
    }

    /// Runs `sluicectl` and takes its success for granted.
    @discardableResult
    public func must(_ arguments: String..., input: String? = nil) throws -> String {
        let result = try ctl(arguments, input: input)
        guard result.succeeded else {
            throw LabError(
                "sluicectl \(arguments.joined(separator: " ")): \(result.status)\n\(result.errors)\n\(daemon?.errors ?? "")"
            )
        }
        return result.output
    }

    /// Runs `sluicectl`, whatever comes of it.
    public func ctl(_ arguments: [String], input: String? = nil) throws -> Result {
        let process = try lab.spawn(
            [BuildProducts.path("sluicectl")] + arguments, input: input, environment: ["SLUICE_SOCKET": socket])
        let status = try process.wait(timeout: .seconds(60))
        return Result(status: status, output: process.output, errors: process.errors)
    }

    @discardableResult
    public func apply(_ spec: String) throws -> String { try must("apply", "-f", "-", input: spec) }

    public func decode<T: Decodable>(_ text: String) throws -> T {
        do {
            return try JSONDecoder().decode(T.self, from: Data(text.utf8))
        } catch {
            throw LabError("not a \(T.self): \(error)\n\(text)")
        }
    }

    /// What the hook does now with a UDP packet to a port of the edge: the attached root itself is run on it, in the
    /// kernel.
    public func verdict(port: UInt16) throws -> Verdict {
        let packet = Packet.bytes(
            .ethernet(), .ipv4(from: IPAddress(Self.client)!, to: IPAddress(Self.edge)!), .udp(from: 40_000, to: port),
            .payload(32))
        let root = try BPFProgram.pinned(at: "\(hookFolder)/root")
        return Verdict(number: try root.testRun(packet: packet).returnValue)!
    }

    /// Whether UDP datagrams from the client to this port of the edge come through.
    public func passes(port: UInt16) throws -> Bool {
        let receiver = try SequenceReceiver(lab: lab, on: Self.edge, port: port)
        let sender = try SequenceSender(lab: lab, netns: "client", to: Self.edge, port: port, count: 3)
        return try receiver.report(sent: sender.wait()).received > 0
    }

    /// The pins of the hook.
    public var hookFolder: String { "\(bpffs)/xdp:edge0" }

    /// All below the bpffs folder, sorted.
    public func pins() throws -> [String] {
        try lab.check(["find", bpffs, "-mindepth", "1"]).split(separator: "\n").map(String.init).sorted()
    }

    /// What the database and the kernel hold, for a before and after: all but the audit trail and the counters.
    public func snapshot() throws -> [String] {
        let rows = try lab.check(
            [
                "sqlite3", "\(state)/sluice.db",
                "SELECT * FROM chain ORDER BY hook; SELECT * FROM generation ORDER BY hook, number",
            ])
        let artifacts = try FileManager.default.contentsOfDirectory(atPath: "\(state)/artifacts").sorted()
        return [rows] + artifacts + (try pins())
    }
}
