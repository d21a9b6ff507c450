// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    /// Auto mode: real samples, real rules.
    @Suite struct AttackTests {
        private static let spec = """
            chains:
              - hook: xdp:edge0
                stages:
                  - name: dos
                    plugin: volumetric-dos
                    version: "1.1"
                    config:
                      auto: { packets-per-second: 5000, mode: install, ttl: 10s }
            """

        private static func dropped(_ site: Site) throws -> UInt64 {
            try site.status().stages[0].counters?.verdicts["drop"]?.packets ?? 0
        }

        @Test func aFloodIsFoundAndDroppedAndTheRulesEndAfterIt() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["volumetric-dos-1_1"])
                try site.start()
                try site.apply(Self.spec)
                let receiver = try SequenceReceiver(lab: lab, on: Site.edge, port: 7000)
                let sender = try SequenceSender(lab: lab, netns: "client", to: Site.edge, port: 7000, rate: 250)
                // What is usual is learnt.
                Thread.sleep(forTimeInterval: 12)
                #expect(try site.must("rule", "list", "xdp:edge0", "dos", "-o", "json").contains("auto-") == false)

                // Answers of NTP servers to what nobody asked.
                let flood = try LiveFrames(
                    lab: lab, interface: "client0", netns: "client",
                    packet: Packet.bytes(
                        .ethernet(), .ipv4(from: "203.0.113.0", to: IPAddress(Site.edge)!), .udp(from: 123, to: 40_000),
                        .payload(440)),
                    options: .init(rate: 25_000, sources: 200))
                let start = ContinuousClock.now
                try lab.until("a rule is there", timeout: .seconds(5)) {
                    try site.must("rule", "list", "xdp:edge0", "dos").contains("auto-")
                }
                let found = ContinuousClock.now - start
                let event = try #require(try site.events().last { $0.action == "change" })
                #expect(event.author.contains("dos") && event.message.contains("to \(Site.edge)"), "\(event)")
                // From here on nearly all of it is dropped.
                Thread.sleep(forTimeInterval: 1)
                let (sent, dropped) = (flood.sent, try Self.dropped(site))
                Thread.sleep(forTimeInterval: 2)
                let share = Double(try Self.dropped(site) - dropped) / Double(flood.sent - sent)
                #expect(share > 0.9, "\(share) of the flood is dropped")
                let top = try site.must("stats", "xdp:edge0", "--stage", "dos", "--top", "source-ports")
                #expect(top.contains("123"), "\(top)")
                // It goes on for longer than a rule lasts: the rule is renewed.
                Thread.sleep(forTimeInterval: 9)
                #expect(try site.must("rule", "list", "xdp:edge0", "dos").contains("auto-"))
                try flood.stop()

                try lab.until("the rules have ended", timeout: .seconds(25)) {
                    try !site.must("rule", "list", "xdp:edge0", "dos").contains("auto-")
                }
                let report = try receiver.report(sent: sender.stop())
                #expect(report.lost * 100 < report.sent, "\(report)")
                print("attack: a rule after \(found), \(share) of the flood dropped, bystander: \(report)")
            }
        }
    }
}
