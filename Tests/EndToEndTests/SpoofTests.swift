// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    /// A limit of each source, and forged sources, many more than it has buckets for.
    @Suite struct SpoofTests {
        /// `SLUICE_SPOOFED=10000000` tries more.
        private static let spoofed =
            ProcessInfo.processInfo.environment["SLUICE_SPOOFED"].flatMap(UInt64.init) ?? 1_000_000
        private static let known = 1000

        /// The second stage counts what gets past the first.
        private static let spec = """
            chains:
              - hook: xdp:edge0
                stages:
                  - name: dos
                    plugin: volumetric-dos
                    version: "1.1"
                    config:
                      buckets: 8192
                      limits:
                        - per: source
                          packets-per-second: 1
                          burst: 1000
                          when-full: drop
                          known: [\((0..<known).map { "10.200.\($0 / 250).\($0 % 250)" }.joined(separator: ", "))]
                  - name: count
                    plugin: volumetric-dos
                    version: "1.1"
                    config:
                      rules:
                        - { name: known, protocol: udp, destination-port: 7777, action: count }
            """

        @Test func doNotDisturbThoseThatAreKnown() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["volumetric-dos-1_1"])
                try site.start()
                try site.apply(Self.spec)
                func flood(_ source: IPAddress, port: UInt16, _ options: LiveFrames.Options) throws -> LiveFrames {
                    let packet = Packet.bytes(
                        .ethernet(), .ipv4(from: source, to: IPAddress(Site.edge)!), .udp(from: 1, to: port),
                        .payload(18))
                    return try LiveFrames(
                        lab: lab, interface: "client0", netns: "client", packet: packet, options: options)
                }
                // Each forged source holds a bucket for a second; each that is known sends far less than its burst.
                let forged = try flood(
                    "20.0.0.0", port: 7, .init(count: Self.spoofed, sources: UInt32(clamping: Self.spoofed)))
                let known = try (0..<4).map { index in
                    try flood(
                        IPAddress("10.200.\(index).0")!, port: 7777, .init(rate: 500, count: 5000, sources: 250))
                }
                let sent = try known.reduce(0) { try $0 + $1.wait() }
                #expect(try forged.wait() == Self.spoofed)
                let stats: ChainStats = try site.decode(site.must("stats", "xdp:edge0", "-o", "json"))
                let counted = try #require(
                    stats.stages[1].tables.first { $0.name == "rules" }?.rows.first?.values.first)
                #expect(counted == .count(sent), "of \(sent)")
                // That there was something to withstand.
                let dropped = try site.status().stages[0].counters?.verdicts["drop"]?.packets ?? 0
                #expect(dropped > Self.spoofed / 2, "\(dropped)")
            }
        }
    }
}
