// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import SluiceAPI
import SluiceCore
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    /// The running program of somebody else becomes a stage: it goes on with its rules, and nothing gets past it.
    @Suite struct AdoptTests {
        static let object = BuildProducts.object("firewall", of: "fixture-stage")

        /// Attaches the fixture's firewall as its own loader would: a constant set, a map resized, a rule in it.
        private static func attachFirewall(to interface: String = "edge0", mode: XDPMode = .native, _ lab: Lab) throws {
            let firewall = try BPFObject(contentsOf: object)
            try firewall.setConstant("always", to: 6)
            try firewall.map("blocked_ports_of_udp")?.setMaxEntries(99)
            try firewall.load(program: "firewall", as: .xdp)
            try firewall.loadedMap("blocked_ports_of_udp").update(
                key: bytes(of: UInt16(7)), value: bytes(of: UInt64(1)))
            try XDP.attachWithoutLink(
                firewall.program("firewall"), to: lab.interfaceIndex(interface), mode: mode)
        }

        private static func member(_ name: String, of value: JSONValue?) -> JSONValue? {
            if case .object(let members)? = value { members[name] } else { nil }
        }

        private static func running(_ lab: Lab) throws -> XDP.Attached? {
            try XDP.attached(to: lab.interfaceIndex("edge0")).first
        }

        @Test(arguments: [XDPMode.native, .generic])
        func aRunningProgramGoesOnAsAStage(_ mode: XDPMode) async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try Self.attachFirewall(mode: mode, lab)
                let before = try #require(try Self.running(lab))
                // Two streams that it drops, by a rule and by its constant, and one that it passes.
                let receivers = try [7, 6, 9].map { try SequenceReceiver(lab: lab, on: Site.edge, port: $0) }
                let senders = try [7, 6, 9].map {
                    try SequenceSender(lab: lab, netns: "client", to: Site.edge, port: $0, rate: 2000)
                }
                try lab.until("it drops") { senders[0].sent > 200 }
                let done = try site.must(
                    "adopt", "xdp:edge0", "wall", "--object", Self.object + "#firewall", "-m", "ours")
                try lab.until("it still drops") { senders[0].sent > 2000 }
                let reports = try zip(receivers, senders).map { try $0.report(sent: $1.stop()) }
                #expect(reports[2].isPerfect, "\(reports[2])")
                // The hook is bare for a moment.
                let bare = try #require(done.firstMatch(of: /bare for ([0-9.]+) ms/)?.1)
                print(
                    "\(mode): bare for \(bare) ms, past it came \(reports[0].received) and \(reports[1].received) of 2000/s"
                )
                let bound = UInt64(2 * Double(bare)! + 20)
                #expect(reports[0].received <= bound && reports[1].received <= bound, "\(reports)")

                let status = try site.status()
                #expect(status.state == .live && status.mode == "\(mode)")
                #expect(status.stages.map(\.name) == ["wall"])
                #expect(try site.history()[0].message == "ours")
                #expect(
                    try site.events().last { $0.action == "adopt" }?.message.contains("replaced program \"firewall\"")
                        == true)
                // Its maps are its own: rules, counts, size.
                let dump = try site.must("map", "dump", "xdp:edge0", "wall", "blocked_ports_of_udp", "-o", "json")
                let rules: MapDump = try site.decode(dump)
                #expect(rules.entries.map(\.key) == [7] && rules.map.maxEntries == 99, "\(rules)")
                let counts: MapDump = try site.decode(
                    site.must("map", "dump", "xdp:edge0", "wall", "counts", "-o", "json"))
                let dropped = Int64(reports[0].lost + reports[1].lost)
                #expect(
                    Self.member("dropped", of: counts.entries[0].value) == .integer(dropped), "\(counts), \(reports)")

                // What is written down as it says is what runs; and with a stage behind it, it keeps its rules.
                let stage = try #require(done.firstMatch(of: /for the spec: (.*)/)?.1)
                #expect(
                    done.contains("for the chain: \(mode == .generic ? "mode: generic, " : "")frags: false"), "\(done)")
                let extra = mode == .generic ? "    mode: generic\n" : ""
                let spec = "chains:\n  - hook: xdp:edge0\n    frags: false\n\(extra)    stages:\n      - \(stage)\n"
                #expect(try site.ctl("plan", "-f", "-", input: spec).status == .exited(0))
                try site.apply(spec + "      - {name: after, plugin: noop}\n")
                #expect(try site.verdict(port: 7) == .drop && site.verdict(port: 6) == .drop)
                try site.must(
                    "map", "update", "xdp:edge0", "wall", "blocked_ports_of_udp", "--key", "8", "--value", "1",
                    "--force")

                // And back to where it was, with what it has learned.
                try site.must("detach", "xdp:edge0", "--restore")
                #expect(try Self.running(lab) == before)
                for (port, passes) in [(7, false), (6, false), (8, false), (9, true)] {
                    #expect(try site.passes(port: UInt16(port)) == passes, "port \(port)")
                }
                #expect(try site.pins().isEmpty)
            }
        }

        @Test func itComesFirstInAChainThatIsThere() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 5))
                let refused = try site.ctl("adopt", "xdp:edge0", "wall", "--object", Self.object + "#firewall")
                #expect(refused.errors.contains("no other program than the chain's own root"), "\(refused.errors)")
                // Somebody has taken the chain off, and put a program of his own there.
                site.killDaemon()
                try lab.check(["bpftool", "link", "detach", "pinned", "\(site.hookFolder)/link"])
                try Self.attachFirewall(lab)
                try site.start()
                #expect(try site.status().state == .missing)
                for name in ["dos", "no name"] {
                    let taken = try site.ctl("adopt", "xdp:edge0", name, "--object", Self.object + "#firewall")
                    #expect(taken.errors.contains("name"), "\(taken.errors)")
                }
                try site.must("adopt", "xdp:edge0", "wall", "--object", Self.object + "#firewall")
                #expect(try site.status().stages.map(\.name) == ["wall", "dos"])
                #expect(try [5, 6, 7].map { try site.verdict(port: $0) } == [.drop, .drop, .drop])
                #expect(try site.passes(port: 9))
                #expect(try site.ctl("doctor").succeeded)
                // The rules are state, so they are there again however it goes on.
                try site.must("rollback", "xdp:edge0")
                #expect(try site.verdict(port: 7) == .pass)
                try site.must("rollback", "xdp:edge0")
                #expect(try site.verdict(port: 7) == .drop)
            }
        }

        @Test func whatIsNotTheRunningProgramIsRefused() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                let nothing = try site.ctl("adopt", "xdp:edge0", "wall", "--object", Self.object + "#firewall")
                #expect(nothing.errors.contains("no program runs there"), "\(nothing.errors)")
                try Self.attachFirewall(lab)
                let before = try site.snapshot()
                let refusals: [(String, String)] = [
                    (Self.object + "#lookalike", "its instructions are others (tag "),
                    (Self.object, "it has several programs for xdp"),
                    (Self.object + "#none", "it has no program \"none\""),
                    ("/no/such/object.o", "cannot be read"),
                    ("firewall.o", "expected an absolute path"),
                    (BuildProducts.object("noop", of: "noop") + "#noop", "it is a stage written for Sluice"),
                ]
                for (object, says) in refusals {
                    let refused = try site.ctl("adopt", "xdp:edge0", "wall", "--object", object)
                    #expect(
                        refused.status == .exited(1) && refused.errors.contains(says), "\(object): \(refused.errors)")
                }
                let verdict = try site.ctl(
                    "adopt", "xdp:edge0", "wall", "--object", Self.object + "#firewall", "--proceed-on", "maybe")
                #expect(verdict.errors.contains("\"maybe\" is none of: "), "\(verdict.errors)")
                #expect(try site.snapshot() == before)
                #expect(try Self.running(lab) != nil && !site.passes(port: 7))
                // Without CAP_SYS_ADMIN nothing is known of it but its id.
                site.killDaemon()
                try site.start(prefix: ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps=-all"])
                let poor = try site.ctl("adopt", "xdp:edge0", "wall", "--object", Self.object + "#firewall")
                #expect(poor.errors.contains("needs CAP_SYS_ADMIN"), "\(poor.errors)")
                #expect(try !site.passes(port: 7))
            }
        }

        /// The program or the stage is there afterwards, with its rules; the one that is not has left nothing.
        @Test(arguments: [
            FaultPoint.stateMapPinned, .flipped, .foreignPinned, .foreignRemoved, .linkAttached, .linkPinned,
        ])
        func killedInTheMiddle(_ point: FaultPoint) async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start(fault: point.rawValue)
                try Self.attachFirewall(lab)
                _ = try site.ctl("adopt", "xdp:edge0", "wall", "--object", Self.object + "#firewall")
                #expect(try site.daemon!.wait(timeout: .seconds(10)) == .signaled(9), "\(point) was not reached")
                try site.start()
                let isAdopted = FileManager.default.fileExists(atPath: "\(site.hookFolder)/link")
                let attached = try #require(try Self.running(lab))
                let name: String? =
                    if let program = BPFProgram.withID(attached.programID) { program.name } else { nil }
                #expect(name == (isAdopted ? "sluice_root" : "firewall"))
                #expect(try !site.passes(port: 7) && !site.passes(port: 6) && site.passes(port: 9))
                #expect(try site.ctl("doctor").succeeded)
                if !isAdopted {
                    #expect(try site.pins().isEmpty)
                    try site.must("adopt", "xdp:edge0", "wall", "--object", Self.object + "#firewall")
                }
                #expect(try site.verdict(port: 7) == .drop && site.verdict(port: 6) == .drop)
                try site.must("detach", "xdp:edge0", "--restore")
                #expect(try !site.passes(port: 7) && site.passes(port: 9))
            }
        }

        /// Debian's own: loaded by its tool, ruled by its tool, before and after.
        @Test func xdpFilterOfDebian() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                // The tool keeps its pins here.
                try lab.check(["mount", "-t", "bpf", "bpf", "/sys/fs/bpf"])
                try lab.check([
                    "xdp-filter", "load", "edge0", "--mode", "native", "--policy", "allow", "--features", "udp",
                ])
                try lab.check(["xdp-filter", "port", "7", "--mode", "dst"])
                #expect(try !site.passes(port: 7))
                let object = "/usr/lib/x86_64-linux-gnu/bpf/xdpfilt_alw_udp.o"
                let wrong = try site.ctl(
                    "adopt", "xdp:edge0", "filter", "--object", object.replacing("_udp", with: "_tcp"))
                #expect(wrong.errors.contains("its instructions are others"), "\(wrong.errors)")
                let done = try site.must("adopt", "xdp:edge0", "filter", "--object", object)
                print(done)
                #expect(try site.verdict(port: 7) == .drop && site.verdict(port: 8) == .pass)
                // The tool goes on ruling it.
                try lab.check(["xdp-filter", "port", "8", "--mode", "dst"])
                #expect(try !site.passes(port: 8) && site.passes(port: 9))
                let spec = "chains: [{hook: xdp:edge0, frags: false, stages: [{name: filter, object: \(object)}"
                #expect(try site.ctl("plan", "-f", "-", input: spec + "]}]").status == .exited(0))
                try site.apply(spec + ", {name: dos, plugin: noop}]}]")
                #expect(try !site.passes(port: 7) && !site.passes(port: 8) && site.passes(port: 9))
                try site.must("detach", "xdp:edge0", "--restore")
                #expect(try !site.passes(port: 7) && !site.passes(port: 8) && site.passes(port: 9))
                try lab.check(["xdp-filter", "unload", "edge0"])
                #expect(try site.passes(port: 7))
            }
        }
    }
}
