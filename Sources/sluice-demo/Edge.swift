// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import SluiceAPI
import StageKit
import StageTesting

/// The demo's edge server: an interface `edge0` with the world behind it, a daemon, and the world's traffic.
final class Edge {
    static let hook = "xdp:edge0"
    static let address = "192.0.2.1"
    static let customer = "192.0.2.2"

    let lab: Lab
    private let narrator: Narrator
    private let socket: String
    private let plugins: String
    private var daemon: LabProcess?

    /// Sets up the interfaces and installs the plugins.
    init(_ lab: Lab, _ narrator: Narrator) throws {
        self.lab = lab
        self.narrator = narrator
        socket = "\(lab.directory)/sluiced.sock"
        plugins = "\(lab.directory)/plugins"
        try lab.addNamespace("world")
        try lab.addVeth(
            VethEnd("edge0", addresses: ["\(Self.address)/24"]),
            VethEnd("world0", netns: "world", addresses: ["\(Self.customer)/24"]))
        // Else the kernel takes sources it has no way back to for spoofed, and drops them before anybody can see them.
        try lab.ip(["route add default via \(Self.customer)"])
        for plugin in ["volumetric-dos-1_0", "volumetric-dos-1_1"] { try lab.installPlugin(plugin, into: plugins) }
    }

    /// Listens on the socket as systemd would; the daemon itself comes with the first connection.
    func listen() throws {
        let command =
            ["systemd-socket-activate", "--listen=\(socket)", BuildProducts.path("sluiced")]
            + ["--bpffs", "\(lab.bpffs)/sluice", "--state", "\(lab.directory)/state"]
            + ["--plugins", plugins, "--idle-exit", "0"]
        narrator.command([
            "systemd-socket-activate --listen=.../sluiced.sock sluiced --bpffs ... --state ... --plugins ..."
        ])
        let process = try lab.spawn(command)
        daemon = process
        try lab.until("systemd-socket-activate listens") {
            guard process.isRunning else { throw LabError("\(command[0]): \(process.errors)") }
            return process.errors.contains("Listening on")
        }
    }

    /// Ends the daemon as a crash would.
    func killDaemon() throws {
        guard let daemon else { return }
        narrator.command(["kill -9 \(daemon.pid)"])
        daemon.send(signal: SIGKILL)
        let status = try daemon.wait()
        narrator.answer("sluiced: \(status)")
    }

    /// Shows a command and its answer, and takes its success for granted.
    func sluicectl(_ arguments: String...) throws {
        try Interrupt.check()
        narrator.command(["sluicectl"] + arguments)
        narrator.answer(try run(arguments))
    }

    /// `sluicectl plan` ends with 2 when there is something to change.
    func plan(_ file: String) throws {
        narrator.command(["sluicectl plan -f \(file)"])
        narrator.answer(try run(["plan", "-f", file], expecting: 2))
    }

    func status() throws -> ChainStatus {
        let answer = try run(["status", Self.hook, "--output", "json"])
        return try JSONDecoder().decode(ChainStatus.self, from: Data(answer.utf8))
    }

    private func run(_ arguments: [String], expecting code: Int32 = 0) throws -> String {
        let process = try lab.spawn(
            [BuildProducts.path("sluicectl")] + arguments, environment: ["SLUICE_SOCKET": socket])
        let status = try process.wait(timeout: .seconds(60))
        guard status == .exited(code) else {
            let log =
                daemon.map { "\n\nsluiced \($0.isRunning ? "runs" : "ended: \($0.status!)"); it said:\n\($0.errors)" }
                ?? ""
            throw LabError("sluicectl \(arguments.joined(separator: " ")): \(status)\n\(process.errors)\(log)")
        }
        return process.output
    }

    /// An endless UDP flood from as many addresses, in the kernel's own way.
    func flood(from network: IPAddress, sources: UInt32, port: UInt16, rate: Int) throws -> LiveFrames {
        let packet = Packet.bytes(
            .ethernet(from: .otherSample, to: .sample), .ipv4(from: network, to: IPAddress(Self.address)!),
            .udp(from: 1024, to: port), .payload(64))
        return try LiveFrames(
            lab: lab, interface: "world0", netns: "world", packet: packet,
            options: .init(rate: rate, sources: sources))
    }

    /// A service that takes what is sent to a port.
    func service(port: UInt16) throws -> SequenceReceiver {
        try SequenceReceiver(lab: lab, on: Self.address, port: port)
    }

    /// A stream that numbers its packets.
    func stream(port: UInt16, rate: Int) throws -> SequenceSender {
        try SequenceSender(lab: lab, netns: "world", to: Self.address, port: port, rate: rate)
    }
}
