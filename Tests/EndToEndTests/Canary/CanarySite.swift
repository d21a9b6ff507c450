// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import SluiceAPI
import StageKit
import StageTesting

@testable import SluiceCore

/// A chain of one fixture stage on a veth pair that carries nothing but a flood. Its live generation passes every
/// packet.
struct CanarySite {
    static let hook = "xdp:flood0"
    /// Nothing that happens here ends a canary.
    static let never = "tx>+99%"
    let site: Site
    let directory: HookDirectory

    init(_ lab: Lab) throws {
        site = try Site(lab, plugins: ["fixture-stage"])
        try lab.addVeth("flood0", VethEnd("flood1", netns: "client"))
        directory = HookDirectory(try HookID(parsing: Self.hook), in: site.bpffs)
        try site.start()
        try site.apply(Self.spec(.pass))
    }

    static func spec(_ verdict: Verdict, generation: Int = 1, stages: Int = 1) -> String {
        "chains:\n  - hook: \(hook)\n    stages:\n"
            + (1...stages).map { index in
                let verdict = index == stages ? verdict.rawValue : "next"
                return "      - name: s\(index)\n        plugin: fixture-stage\n"
                    + "        config: {program: check, generation: \(generation), verdict: \(verdict)}\n"
            }.joined()
    }

    /// Begins a canary of a generation that gives every packet one verdict.
    func begin(
        _ verdict: Verdict, share: String = "5%", time: String = "1h", abortIf: String? = nil, wait: Bool = false
    ) throws -> Site.Result {
        try site.ctl(
            "apply", "-f", "-", "--canary=\(share)", "--for=\(time)",
            abortIf.map { "--abort-if=\($0)" } ?? "--min-packets=500", wait ? "--message=waits" : "--no-wait",
            input: Self.spec(verdict, generation: 2))
    }

    /// Floods the hook with packets of so many flows.
    func flood(flows: Int = 20_000, rate: Int? = nil) throws -> LiveFrames {
        let packet = Packet.bytes(
            .ethernet(), .ipv4(from: "10.0.0.0", to: "10.9.0.1"), .udp(from: 1, to: 2), .payload(32))
        return try LiveFrames(
            lab: site.lab, interface: "flood1", netns: "client", packet: packet,
            options: .init(rate: rate, sources: UInt32(flows)))
    }

    func traffic() throws -> HookDirectory.Traffic? { try directory.traffic() }

    /// What the root does with a packet now: `drop` tells that the candidate had it.
    func verdict(_ packet: [UInt8]) throws -> Verdict {
        Verdict(number: try BPFProgram.pinned(at: directory.root).testRun(packet: packet).returnValue)!
    }

    /// Waits until the canary is over, and gives what the audit trail says of its end.
    func end() throws -> Event {
        try site.lab.until("the canary is over", timeout: .seconds(20)) { try traffic()?.candidate == nil }
        return try last(["promote", "abort"])
    }

    func last(_ actions: Set<String>) throws -> Event {
        guard let event = try site.events().last(where: { actions.contains($0.action) }) else {
            throw LabError("no event of \(actions)")
        }
        return event
    }

    /// Nothing of a canary is left: no pin, no record, no generation but these.
    func leftovers(generations: [Int]) throws -> [String] {
        let rows = try site.lab.check(["sqlite3", "\(site.state)/sluice.db", "SELECT * FROM canary"])
        let pinned = try directory.generations()
        return (rows.isEmpty ? [] : ["row \(rows)"]) + (directory.canary.exists ? ["splitter"] : [])
            + (pinned == generations ? [] : ["generations \(pinned)"])
            + (try site.ctl("doctor").succeeded ? [] : [try site.ctl("doctor").output])
    }
}

/// Packets of many flows, made by changing one.
struct Flows {
    private var frame: [UInt8]
    private let addresses: (source: Int, destination: Int, length: Int)
    private let ports: Int

    static let ipv4 = Flows(
        Packet.bytes(.ethernet(), .ipv4(from: "10.0.0.0", to: "10.9.0.1"), .udp(from: 1, to: 53), .payload(18)),
        (26, 30, 4), 34)
    static let ipv6 = Flows(
        Packet.bytes(.ethernet(), .ipv6(from: "2001:db8::", to: "fd00:9::1"), .tcp(from: 1, to: 443), .payload(18)),
        (22, 38, 16), 54)
    static let tagged = Flows(
        Packet.bytes(
            .ethernet(), .vlan(7), .ipv4(from: "10.0.0.0", to: "10.9.0.1"), .udp(from: 1, to: 53), .payload(18)),
        (30, 34, 4), 38)

    private init(_ frame: [UInt8], _ addresses: (Int, Int, Int), _ ports: Int) {
        self.frame = frame
        self.addresses = addresses
        self.ports = ports
    }

    /// The packet there, and one back, of the `n`th flow: few addresses with many ports, as clients behind a NAT have.
    func pair(_ n: Int) -> (there: [UInt8], back: [UInt8]) {
        var there = frame
        let end = addresses.source + addresses.length
        there[end - 2] = UInt8(n >> 12 & 0xff)
        there[end - 1] = UInt8(n >> 4 & 0xff)
        there[ports] = UInt8(0x80 | n & 0x0f)
        there[ports + 1] = UInt8(n >> 2 & 0xff)
        var back = there
        for index in 0..<addresses.length {
            back.swapAt(addresses.source + index, addresses.destination + index)
        }
        for index in 0..<2 { back.swapAt(ports + index, ports + 2 + index) }
        return (there, back)
    }
}
