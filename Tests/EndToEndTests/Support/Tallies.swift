// SPDX-License-Identifier: Apache-2.0

import BPF
import SluiceAPI
import StageKit
import StageTesting

@testable import SluiceCore

/// A chain of the fixture's counting stage on a veth pair that carries nothing but a flood.
struct Tallies {
    static let hook = "xdp:flood0"
    let site: Site
    let directory: HookDirectory

    init(_ lab: Lab, versions: [String]) throws {
        site = try Site(lab, plugins: ["fixture-stage"])
        for version in versions where version != "1.0" {
            try lab.check(["cp", "-r", "\(site.plugins)/fixture-stage/1.0", "\(site.plugins)/fixture-stage/\(version)"])
        }
        try lab.addVeth("flood0", VethEnd("flood1", netns: "client"))
        directory = HookDirectory(try HookID(parsing: Self.hook), in: site.bpffs)
    }

    static func spec(_ version: String, entries: Int = 131_072) -> String {
        """
        chains:
          - hook: \(hook)
            stages:
              - name: tally
                plugin: fixture-stage
                version: "\(version)"
                config: {program: tally, verdict: drop, entries: \(entries)}
        """
    }

    /// Sends packets from so many sources, as fast as it goes.
    func flood(sources: Int, count: UInt64? = nil) throws -> LiveFrames {
        let packet = Packet.bytes(
            .ethernet(), .ipv4(from: "10.0.0.0", to: "10.9.0.1"), .udp(from: 1, to: 2), .payload(32))
        return try LiveFrames(
            lab: site.lab, interface: "flood1", netns: "client", packet: packet,
            options: .init(count: count, sources: UInt32(sources)))
    }

    /// The packets that a generation has counted, by source.
    func counts(of generation: Int) throws -> [UInt32: UInt64] {
        let manifest = try Manifest(pinnedAt: directory.generation(generation).meta)
        return try counts(schema: manifest.stages[0].state["tally"]!)
    }

    func counts(schema: String) throws -> [UInt32: UInt64] {
        let map = try BPFMap.pinned(at: directory.state(stage: "tally", map: "tally", schema: schema))
        var result: [UInt32: UInt64] = [:]
        var key = try map.key(after: nil)
        while let found = key {
            let value = try map.lookup(key: found) ?? []
            // `packets` is the last member in either layout.
            let source = found.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
            result[source] = value.withUnsafeBytes {
                $0.loadUnaligned(fromByteOffset: value.count - 8, as: UInt64.self)
            }
            key = try map.key(after: found)
        }
        return result
    }

    /// Waits until all that was sent has arrived, by the generations' own counters: none is lost on the way.
    func settle(_ sent: UInt64) throws {
        try site.lab.until("\(sent) packets are through", timeout: .seconds(5)) {
            try directory.generations().map { try directory.generation($0).counters(1).packets }.reduce(0, +) == sent
        }
    }
}

extension Dictionary where Value == UInt64 {
    var sum: UInt64 { values.reduce(0, +) }
}
