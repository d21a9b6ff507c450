// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    /// Objects that nobody wrote for Sluice, through the whole of a chain's life.
    @Suite struct AdoptionTests {
        /// xdp-filter's, which passes all that no rule denies.
        private static let filter = "/usr/lib/x86_64-linux-gnu/bpf/xdpfilt_alw_all.o"

        private static func spec(_ object: String, extra: String = "", chain: String = "") -> String {
            """
            chains:
              - hook: xdp:edge0
            \(chain.isEmpty ? "" : "    \(chain)\n")    stages:
                  - {name: first, plugin: noop}
                  - {name: filter, object: \(object)\(extra)}
                  - {name: last, plugin: noop}
            """
        }

        private static func shapes(_ program: String) -> String {
            "\(BuildProducts.object("shapes", of: "fixture-stage"))#\(program)"
        }

        /// A copy of an object that may be changed or removed.
        private static func copy(_ object: String, of site: Site) throws -> String {
            let path = "\(site.lab.directory)/filter.o"
            try site.lab.check(["cp", object, path])
            return path
        }

        private static func passes(_ site: Site, to address: String, port: UInt16) throws -> Bool {
            let receiver = try SequenceReceiver(lab: site.lab, on: address, port: port)
            let sender = try SequenceSender(lab: site.lab, netns: "client", to: address, port: port, count: 3)
            return try receiver.report(sent: sender.wait()).received > 0
        }

        @Test func aFilterLivesThroughChangesAndCrashesWhileTrafficFlows() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["noop"])
                let object = try Self.copy(Self.filter, of: site)
                try site.start()
                let plan = try site.ctl("plan", "-f", "-", input: Self.spec(object))
                #expect(plan.output.contains("+ stage filter: object filter.o#xdpfilt_alw_all"), "\(plan.output)")
                #expect(plan.output.contains("asks for pins of xdp_stats_map, filter_ports, "), "\(plan.output)")
                try site.apply(Self.spec(object))
                let receiver = try SequenceReceiver(lab: lab, on: Site.edge, port: 9000)
                let sender = try SequenceSender(lab: lab, netns: "client", to: Site.edge, port: 9000, rate: 2000)
                try lab.until("traffic flows") { receiver.received > 100 }

                // Rules by the object's own types: a port, an address, both of them structs or numbers of its BTF.
                let list = try site.must("map", "list", "xdp:edge0", "filter")
                #expect(list.contains("struct in6_addr") && list.contains("struct ethaddr"), "\(list)")
                #expect(try Self.passes(site, to: Site.edge, port: 7))
                let (toUDP, from) = (2 | 8, 1)  // xdp-filter's MAP_FLAG_DST, _UDP and _SRC
                try site.must(
                    "map", "update", "xdp:edge0", "filter", "filter_ports", "--key", "\(UInt16(7).bigEndian)",
                    "--value",
                    "\(toUDP)")
                #expect(try !Self.passes(site, to: Site.edge, port: 7))
                #expect(try Self.passes(site, to: Site.edge, port: 8))
                #expect(try Self.passes(site, to: "fd00:9::1", port: 8))
                try site.must(
                    "map", "update", "xdp:edge0", "filter", "filter_ipv6", "--key", "\"fd00:9::2\"", "--value",
                    "\(from)")
                #expect(try !Self.passes(site, to: "fd00:9::1", port: 8))
                let wrong = try site.ctl(
                    "map", "update", "xdp:edge0", "filter", "filter_ethernet", "--key", #"{"adr": [2, 0, 0, 0, 0, 2]}"#,
                    "--value", "1")
                #expect(wrong.status == .exited(1))
                #expect(wrong.errors.contains("key: unknown member \"adr\"; known: addr"), "\(wrong.errors)")

                // The data path does not notice that the daemon dies, nor that the object's file goes.
                site.killDaemon()
                try lab.check(["rm", object])
                #expect(try !Self.passes(site, to: Site.edge, port: 7))
                try site.start()
                #expect(try site.status().state == .live)
                #expect(try site.must("map", "dump", "xdp:edge0", "filter", "filter_ipv6").contains("fd00:9::2"))

                // Another build of it: its pinned maps go on.
                _ = try Self.copy(Self.filter, of: site)
                try lab.check(["sh", "-c", "printf changed >> \(object)"])
                let changed = try site.ctl("plan", "-f", "-", input: Self.spec(object))
                #expect(changed.status == .exited(2))
                #expect(changed.output.contains("~ object: filter.o#xdpfilt_alw_all was rebuilt"), "\(changed.output)")
                #expect(changed.output.contains("state map \"filter_ports\" is shared with generation 1"))
                try site.apply(Self.spec(object))
                #expect(try site.history().map(\.state) == [.live, .kept])
                #expect(try !Self.passes(site, to: Site.edge, port: 7))
                #expect(try Self.passes(site, to: Site.edge, port: 8))

                // Another filter; back to the first, whose file is gone.
                try lab.check(["rm", object])
                try site.apply(Self.spec(Self.shapes("pinned_map"), extra: ", proceed-on: [pass, drop]"))
                #expect(try Self.passes(site, to: Site.edge, port: 7))
                try site.must("rollback", "xdp:edge0", "--to", "1")
                #expect(try !Self.passes(site, to: Site.edge, port: 7))
                let report = try receiver.report(sent: sender.stop())
                #expect(report.isPerfect && report.sent > 1000, "\(report)")
            }
        }

        @Test func aRebootNeedsNoObjectFileAndKeepsItsConstants() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["noop"])
                let object = try Self.copy(BuildProducts.object("shapes", of: "fixture-stage"), of: site)
                try site.start()
                // It drops a packet whose time to live is above the limit.
                func limited(_ limit: Int) -> String {
                    Self.spec(
                        "\(object)#global_data", extra: ", rodata: {strict: true, limit: \(limit), label: \"edge\"}")
                }
                try site.apply(limited(10))
                #expect(try site.verdict(port: 7) == .drop)
                try lab.check(["rm", object])
                site.killDaemon()
                try RecoveryTests.loseKernel(site)
                #expect(try site.passes(port: 7))
                try site.start()
                #expect(try site.status().state == .live)
                #expect(try site.verdict(port: 7) == .drop)
                #expect(try !site.passes(port: 7))
                let constants = try site.must("map", "dump", "xdp:edge0", "filter", ".rodata", "-o", "json")
                let told: MapDump = try site.decode(constants)
                guard case .object(let values)? = told.entries.first?.value else { throw LabError(constants) }
                #expect(values["limit"] == 10 && values["strict"] == true && values["label"] == "edge")
                let gone = try site.ctl("apply", "-f", "-", input: limited(11))
                #expect(gone.status == .exited(1))
                #expect(gone.errors.contains("\(object): cannot be read; correct the path"), "\(gone.errors)")
            }
        }

        @Test func aMistakeIsOneClearErrorAndChangesNothing() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["noop"])
                try site.start()
                try site.apply(Self.spec(Self.shapes("global_data")))
                let before = try site.snapshot()
                let refused = BuildProducts.object("refused", of: "fixture-stage")
                let mistakes: [(spec: String, says: String)] = [
                    (
                        Self.spec(Self.shapes("global_data"), extra: ", rodata: {limits: {most: 1}}"),
                        "rodata: limits: member \"drop\" (__u8[4]) is missing"
                    ),
                    (
                        Self.spec(Self.shapes("global_data"), extra: ", rodata: {limti: 1}"),
                        "it has no constant \"limti\"; it has: label, limit, limits, strict"
                    ),
                    (Self.spec(Self.shapes("nothing")), "it has no program \"nothing\"; its programs for xdp: deep, "),
                    (
                        Self.spec(Self.shapes("deep"), extra: ", maps: {sean: {state: true}}"),
                        "it has no map \"sean\"; it has: seen, own_state"
                    ),
                    (
                        Self.spec("/nowhere/filter.o"),
                        "/nowhere/filter.o: cannot be read; correct the path of the object"
                    ),
                    (Self.spec("/dev/zero"), "/dev/zero is no file of at most 64 MiB"),
                    (Self.spec("/etc/hostname"), "open BPF object \"hostname\": it is not an ELF file"),
                    (Self.spec(refused), "it is a stage written for Sluice"),
                ]
                for (spec, says) in mistakes {
                    let result = try site.ctl("apply", "-f", "-", input: spec)
                    #expect(result.status == .exited(1))
                    #expect(result.errors.contains(says), "\(result.errors)")
                    #expect(result.errors.contains("stage \"filter\""), "\(result.errors)")
                    #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
                }
                let upgrade = try site.ctl("upgrade", "xdp:edge0", "filter", "--to", "2.0")
                #expect(upgrade.errors.contains("adopt"), "\(upgrade.errors)")
                #expect(try site.snapshot() == before)
            }
        }

        /// The samples of the stage in front of it walk on into it.
        @Test func whoJudgesTheSamePacketAnewEachTimeIsNoFaultOfTheStageBefore() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["noop"])
                try site.start()
                try site.apply(Self.spec(Self.shapes("global_data"), chain: "counters: false"))
                let verdicts = try Set((0..<10).map { _ in try site.verdict(port: 7) })
                #expect(verdicts.count > 1, "\(verdicts)")
            }
        }

        @Test func stateIsKeptAsLongAsItsLayoutIs() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["noop"])
                try site.start()
                func counting(_ limit: Int, entries: Int) -> String {
                    Self.spec(
                        Self.shapes("each_entry"),
                        extra: ", rodata: {limit: \(limit)}, maps: {seen: {state: true, max-entries: \(entries)}}")
                }
                // By a byte of the packet; the kernel's own few have others.
                func has(packets: Int64) throws -> Bool {
                    let dump: MapDump = try site.decode(
                        site.must("map", "dump", "xdp:edge0", "filter", "seen", "-o", "json"))
                    return dump.entries.contains { $0.value == ["packets": .integer(packets)] }
                }
                try site.apply(counting(1, entries: 64))
                for _ in 0..<5 { _ = try site.verdict(port: 7) }
                #expect(try has(packets: 5))
                try site.apply(counting(2, entries: 64))
                _ = try site.verdict(port: 7)
                #expect(try has(packets: 6))
                let refused = try site.ctl("plan", "-f", "-", input: counting(2, entries: 128))
                #expect(refused.status == .exited(1))
                #expect(
                    refused.errors.contains("and an adopted object cannot say what becomes of its data"),
                    "\(refused.errors)")
                try site.must("rollback", "xdp:edge0")
                _ = try site.verdict(port: 7)
                #expect(try has(packets: 7))
            }
        }

        @Test func itsOwnTailCallsComeBack() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["noop"])
                try site.start()
                let spec = Self.spec("\(BuildProducts.object("tailcalls", of: "fixture-stage"))#dispatch")
                let plan = try site.ctl("plan", "-f", "-", input: spec)
                #expect(
                    plan.output.contains(
                        "the object may tail-call through its map \"parts\"; what the program there returns counts as the "
                            + "stage's verdict; slots that the object does not fill itself stay empty"),
                    "\(plan.output)")
                try site.apply(spec)
                #expect(try Self.passes(site, to: Site.edge, port: 7))
                let stages = try site.status().stages
                #expect(stages.map(\.name) == ["first", "filter", "last"])
                let packets = stages.map { $0.counters?.packets ?? 0 }
                #expect(packets[1] > 0 && packets[1] == packets[2])
            }
        }

        @Test func anEmptySlotBehindItGetsTheChainsVerdict() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["noop"])
                try site.start()
                try site.apply(
                    Self.spec(Self.filter, chain: "on-fault: drop").replacing("- {name: first, plugin: noop}", with: "")
                )
                #expect(try site.verdict(port: 7) == .pass)
                // An array without a pin empties itself.
                try lab.check(["rm", "\(site.hookFolder)/g1/chain"])
                try lab.until("the slots are empty") { try site.verdict(port: 7) == .drop }
            }
        }

        @Test func packetsInFragmentsNeedAnObjectThatSaysItCopes() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["noop"])
                try lab.ip(["link set edge0 mtu 9000"])
                try lab.ip(["link set client0 mtu 9000"], netns: "client")
                try site.start()
                let refused = try site.ctl("apply", "-f", "-", input: Self.spec(Self.filter))
                #expect(refused.status == .exited(1))
                #expect(
                    refused.errors.contains(
                        "its program \"xdpfilt_alw_all\" does not cope with packets in fragments (its section is not "
                            + "\"xdp.frags\"), but the chain takes them; set `frags: false` for the chain"),
                    "\(refused.errors)")
                let native = try site.ctl("apply", "-f", "-", input: Self.spec(Self.filter, chain: "frags: false"))
                #expect(native.status == .exited(1))
                #expect(native.errors.contains("MTU"), "\(native.errors)")
                #expect(try site.pins().isEmpty)

                let sections = "\(BuildProducts.object("corners", of: "fixture-stage"))#sections"
                try site.apply(Self.spec(sections, extra: ", proceed-on: [aborted, drop, pass, tx, redirect]"))
                let receiver = try SequenceReceiver(lab: lab, on: Site.edge, port: 7)
                let sender = try SequenceSender(
                    lab: lab, netns: "client", to: Site.edge, port: 7, count: 100, size: 8000)
                let report = try receiver.report(sent: sender.wait())
                #expect(report.isPerfect, "\(report)")
                let counters = try #require(try site.status().stages.last?.counters)
                #expect(counters.packets >= 100 && counters.bytes >= 100 * 8000)
            }
        }
    }
}
