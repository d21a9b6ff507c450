// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import SluiceAPI
import StageKit
import StageTesting

/// A chain of the fixture's stage that tells of packets in a ring buffer.
struct RingSite {
    let site: Site

    /// What the plugin says of one generation's records.
    struct Row: Decodable, Equatable {
        var generation: Int
        var records: Int
        var first: Int
        var last: Int
        var gaps = 0
        var disorder = 0
        var lost = 0
    }

    init(_ lab: Lab) throws {
        site = try Site(lab, plugins: ["fixture-stage", "noop"])
        let next = "\(site.plugins)/fixture-stage/1.1"
        try lab.check(["cp", "-r", "\(site.plugins)/fixture-stage/1.0", next])
        // What is the same to the byte is the same artifact.
        try lab.check(["sh", "-c", "echo 1.1 > \(next)/notes"])
    }

    /// With a daemon, and the chain in place.
    static func live(_ lab: Lab) throws -> RingSite {
        let ring = try RingSite(lab)
        try ring.site.start()
        try ring.site.apply(spec())
        return ring
    }

    static func spec(config: String = "", more: String = "") -> String {
        """
        chains:
          - hook: xdp:edge0
            stages:
              - {name: rings, plugin: fixture-stage, version: "1.0", config: {program: ringing, \(config)}}

        """ + more
    }

    /// Runs the attached root on UDP packets, one after the other, in the kernel.
    func send(_ count: Int, port: UInt16 = 9, flows: Bool = false) throws {
        let root = try BPFProgram.pinned(at: "\(site.hookFolder)/root")
        for source in 0..<(flows ? count : 1) {
            let packet = Packet.bytes(
                .ethernet(), .ipv4(from: "10.9.0.2", to: "10.9.0.1"), .udp(from: UInt16(1000 + source), to: port),
                .payload(18))
            _ = try root.testRun(packet: packet, repeat: flows ? 1 : count)
        }
    }

    /// Real packets, about as many as the ring holds between two looks of the reader.
    func flood(_ count: UInt64) throws {
        let packet = Packet.bytes(
            .ethernet(), .ipv4(from: "10.0.0.0", to: "10.9.0.1"), .udp(from: 1, to: 9), .payload(32))
        let frames = try LiveFrames(
            lab: site.lab, interface: "client0", netns: "client", packet: packet,
            options: .init(rate: 40_000, count: count))
        _ = try frames.wait()
        // The reader takes what came last.
        Thread.sleep(forTimeInterval: 0.3)
    }

    func table() throws -> [Row] {
        try site.decode(site.must("stats", "xdp:edge0", "--stage", "rings", "--top", "records", "-o", "json"))
    }

    /// Waits until the plugin's account is so, and returns it.
    @discardableResult
    func until(_ what: String, _ condition: ([Row]) throws -> Bool) throws -> [Row] {
        var rows: [Row] = []
        try site.lab.until("\(what)") {
            let result = try site.ctl("stats", "xdp:edge0", "--stage", "rings", "--top", "records", "-o", "json")
            // It may be starting.
            guard result.succeeded else { return false }
            rows = try site.decode(result.output)
            return try condition(rows)
        }
        return rows
    }

    func expect(_ rows: [Row]) throws {
        var last: [Row] = []
        do {
            try until("the account is right") {
                last = $0
                return $0 == rows
            }
        } catch {
            throw LabError("\(last) instead of \(rows)")
        }
    }

    /// How many records the live generation has put into its ring.
    func told() throws -> Int {
        let stats: ChainStats = try site.decode(site.must("stats", "xdp:edge0", "-o", "json"))
        guard case .count(let told)? = stats.stages[0].tables[0].rows[0].values.first else {
            throw LabError("no count: \(stats)")
        }
        return Int(told)
    }

    /// The processes of the plugin.
    func plugins() throws -> [pid_t] {
        try site.lab.check(["ps", "-eo", "pid,args"]).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            return words.count == 2 && words[1].hasPrefix("\(site.state)/artifacts/") ? pid_t(words[0]) : nil
        }
    }

    func plugin() throws -> pid_t {
        guard let plugin = try plugins().first else { throw LabError("no plugin runs") }
        return plugin
    }

    /// The daemon's resident memory, in KiB.
    func memory() throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(site.daemon!.pid)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
        return Int(line.split(separator: " ").dropLast().last ?? "") ?? 0
    }

    /// How many BPF maps the daemon has open: one a ring that it reads.
    func rings() throws -> Int {
        let folder = "/proc/\(site.daemon!.pid)/fd"
        return try FileManager.default.contentsOfDirectory(atPath: folder).count {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")) == "anon_inode:bpf-map"
        }
    }
}
