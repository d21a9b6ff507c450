// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import SluiceCore
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    /// Somebody's hand in the kernel: pins removed, slots emptied, links detached. All of it is found, told and mended.
    @Suite struct RepairTests {
        struct Harm: Sendable, CustomTestStringConvertible {
            var name: String
            /// A shell command; `$H` is the hook's folder.
            var command: String
            /// What the event says of it.
            var says: String
            /// Whether not one packet may see it, neither when it is done nor when it is mended.
            var isHarmless = false
            var testDescription: String { name }
        }

        static let harms: [Harm] = [
            Harm(name: "root unpinned", command: "rm $H/root", says: "the pin \"root\" has gone", isHarmless: true),
            Harm(
                name: "counters unpinned", command: "rm $H/fallback", says: "the pin \"fallback\" has gone",
                isHarmless: true),
            Harm(name: "slot unpinned", command: "rm $H/entry", says: "the pin \"entry\" has gone"),
            Harm(
                name: "slot emptied", command: "bpftool map delete pinned $H/entry key 0 0 0 0",
                says: "the root's slot does not hold generation 2"),
            Harm(name: "link unpinned", command: "rm $H/link", says: "attached the root to xdp:edge0"),
            Harm(
                name: "link detached", command: "bpftool link detach pinned $H/link",
                says: "attached the root to xdp:edge0"),
            Harm(name: "array unpinned", command: "rm $H/g2/chain", says: "the pin \"chain\" has gone"),
            Harm(
                name: "stage unpinned", command: "rm $H/g2/stage_1", says: "the pin \"stage_1\" has gone",
                isHarmless: true),
            Harm(
                name: "map unpinned", command: "rm $H/g2/map_1_sluice_counters",
                says: "the pin \"map_1_sluice_counters\" has gone", isHarmless: true),
            Harm(name: "manifest unpinned", command: "rm $H/g2/meta", says: "its manifest has gone", isHarmless: true),
            Harm(
                name: "kept generation's array unpinned", command: "rm $H/g1/chain",
                says: "generation 1 is damaged: the pin \"chain\" has gone; it was built anew", isHarmless: true),
            Harm(
                name: "kept generation gone", command: "rm -r $H/g1", says: "generation 1: not in the kernel any more",
                isHarmless: true),
            Harm(
                name: "state unpinned", command: "rm $H/state/dos/*", says: "has lost its pin; it is pinned again",
                isHarmless: true),
            Harm(name: "generation gone", command: "rm -r $H/g2", says: "brought generation 2 back"),
            Harm(name: "all gone", command: "rm -r $H", says: "brought generation 2 back"),
        ]

        @Test(arguments: harms)
        func isMended(_ harm: Harm) async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 8))
                try site.apply(Site.dropping(port: 7))
                // One stream that the chain drops, and one that it passes.
                let dropped = try SequenceReceiver(lab: lab, on: Site.edge, port: 7)
                let passed = try SequenceReceiver(lab: lab, on: Site.edge, port: 9)
                let bad = try SequenceSender(lab: lab, netns: "client", to: Site.edge, port: 7)
                let good = try SequenceSender(lab: lab, netns: "client", to: Site.edge, port: 9)
                let before = try site.pins()
                try lab.check(["sh", "-c", "H=\(site.hookFolder); \(harm.command)"])
                try site.poke()
                try lab.until("it is told: \(harm.says)") {
                    try site.events().contains { $0.message.contains(harm.says) }
                }
                #expect(try site.status().state == .live)
                #expect(try site.must("doctor").contains("generation 2 is live"))
                if !["kept generation gone", "all gone"].contains(harm.name) {
                    #expect(try Set(before).subtracting(site.pins()).isEmpty)
                }
                let seen = dropped.received
                let sent = bad.sent
                try lab.until("more is sent") { bad.sent > sent + 200 }
                // One may have been on its way.
                #expect(dropped.received <= seen + 1, "what the chain drops gets through")
                let lost = try dropped.report(sent: bad.stop())
                let kept = try passed.report(sent: good.stop())
                #expect(kept.isPerfect, "\(kept)")
                if harm.isHarmless { #expect(lost.received == 0, "\(lost)") }
            }
        }

        /// Without CAP_SYS_ADMIN nothing can be looked up by its id; all but the state is mended from records and pins.
        @Test func mendingNeedsNoMoreThanTheUnitGives() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start(prefix: ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps=-all"])
                try site.apply(Site.dropping(port: 8))
                try site.apply(Site.dropping(port: 7))
                for harm in Self.harms where !["state unpinned", "kept generation gone"].contains(harm.name) {
                    let count = try site.events().count
                    if harm.command.contains("/g1/"), !FileManager.default.fileExists(atPath: "\(site.hookFolder)/g1") {
                        continue
                    }
                    try lab.check(["sh", "-c", "H=\(site.hookFolder); \(harm.command)"])
                    try site.poke()
                    try lab.until("it is told: \(harm.says)") {
                        try site.events().dropFirst(count).contains { $0.message.contains(harm.says) }
                    }
                    #expect(try site.verdict(port: 7) == .drop, "\(harm.name)")
                    #expect(try site.must("doctor").contains("generation 2 is live"), "\(harm.name)")
                }
                #expect(try !site.passes(port: 7))
                try lab.check(["sh", "-c", "rm \(site.hookFolder)/state/dos/*"])
                try site.poke()
                try lab.until("it is told") {
                    try site.events().contains { $0.outcome == "failed" && $0.message.contains("needs CAP_SYS_ADMIN") }
                }
                let doctor = try site.ctl("doctor")
                #expect(doctor.status == .exited(1))
                #expect(doctor.output.contains("has lost its pin"))
                #expect(try site.verdict(port: 7) == .drop)
            }
        }

        @Test func whoTookTheInterfaceMeanwhileIsNotFought() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 7))
                site.killDaemon()
                try lab.check(["bpftool", "link", "detach", "pinned", "\(site.hookFolder)/link"])
                try site.attachForeign()
                try site.start()
                #expect(try site.status().state == .missing)
                #expect(try site.hasForeign())
                let told = { try site.events().filter { $0.outcome == "failed" } }
                #expect(try told().count == 1)
                #expect(try told()[0].message.contains("already runs program \"noop\""))
                // Once, however often it is looked at.
                for _ in 1...2 {
                    site.killDaemon()
                    try site.start()
                }
                #expect(try told().count == 1)
                let doctor = try site.ctl("doctor")
                #expect(doctor.status == .exited(1))
                #expect(doctor.output.contains("already runs program") && doctor.output.contains("apply --replace"))
                try site.must("apply", "-f", "-", "--replace", input: Site.dropping(port: 7))
                #expect(try !site.passes(port: 7))
                #expect(try site.status().state == .live)
            }
        }
    }
}
