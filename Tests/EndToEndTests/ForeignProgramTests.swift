// SPDX-License-Identifier: Apache-2.0

import BPF
import CKernel
import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// Programs of others are shown, and left alone.
    @Suite struct ForeignProgramTests {
        private struct Shown: Decodable {
            var chains: [ChainStatus]
            var programs: [AttachedProgram]
            var notes: [String]
        }

        @Test func statusShowsWhatOthersAttached() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                // tc makes folders there.
                try lab.check(["mount", "-t", "bpf", "bpf", "/sys/fs/bpf"])
                try lab.addNamespace("edge")
                try lab.addNamespace("elsewhere")
                let ends: [(String, String?)] = [("plain0", nil), ("inner0", "edge"), ("far0", "elsewhere")]
                for (name, netns) in ends {
                    try lab.addVeth(VethEnd(name, netns: netns), VethEnd("\(name.dropLast())1", netns: "client"))
                }
                try site.apply(Site.dropping(port: 7))
                try site.apply(Site.noops(1, hook: "xdp:inner0@edge"))
                try site.attachForeign(to: "plain0", mode: "xdpgeneric")
                // A classifier, in both directions, in the manager's namespace and in a chain's.
                let object = BuildProducts.object("classifier", of: "fixture-stage")
                let places: [(String, String, String?)] = [
                    ("edge0", "ingress", nil), ("plain0", "egress", nil), ("inner0", "ingress", "edge"),
                ]
                for (name, direction, netns) in places {
                    try lab.check(["tc", "qdisc", "add", "dev", name, "clsact"], netns: netns)
                    try lab.check(
                        [
                            "tc", "filter", "add", "dev", name, direction, "bpf", "direct-action", "object-file",
                            object,
                            "section", "tc",
                        ], netns: netns)
                }
                let classifier = try #require(try Interfaces.classifiers().first)
                guard let program = BPFProgram.withID(classifier.programID) else { throw LabError("no program") }
                try program.pin(at: "\(lab.bpffs)/somebody")
                let raw = ck_lab_tcx(program.fd.raw, Int32(try lab.interfaceIndex("plain0")), 0)
                let probe: ProbeReport = try site.decode(site.must("probe", "-o", "json"))
                #expect(probe.items.first { $0.name == "tcx" }?.supported == (raw > 0), "\(raw)")
                let tcx = OwnedFD(taking: raw)

                let before = try site.snapshot()
                let shown: Shown = try site.decode(site.must("status", "--all", "--output", "json"))
                #expect(shown.chains.map(\.hook) == ["xdp:edge0", "xdp:inner0@edge"])
                // Of what other tests have on their cgroups, something may go while it is looked at.
                #expect(shown.notes.allSatisfy { $0.contains("CAP_SYS_ADMIN") })
                func find(_ interface: String, _ hook: AttachedProgram.Hook) -> AttachedProgram? {
                    shown.programs.first { $0.interface == interface && $0.hook == hook }
                }
                let root = try #require(find("edge0", .xdp))
                #expect(root.chain == "xdp:edge0" && root.name == "sluice_root" && root.position == .native)
                let link = try BPFLink.pinned(at: "\(site.hookFolder)/link").info().id
                #expect(root.link == link)
                #expect(Set(root.pins) == ["\(site.hookFolder)/root", "\(site.hookFolder)/link"])
                let inner = try #require(find("inner0", .xdp))
                #expect(inner.chain == "xdp:inner0@edge" && inner.netns == "/run/netns/edge")
                let foreign = try #require(find("plain0", .xdp))
                #expect(foreign.chain == nil && foreign.name == "noop" && foreign.position == .generic)
                #expect(foreign.link == nil && foreign.pins.isEmpty)
                let ingress = try #require(find("edge0", .tc))
                #expect(ingress.chain == nil && ingress.name == "somebody" && ingress.position == .ingress)
                #expect(ingress.id == classifier.programID && ingress.pins == ["\(lab.bpffs)/somebody"])
                #expect(find("plain0", .tc)?.position == .egress)
                #expect(find("inner0", .tc)?.netns == "/run/netns/edge")
                if raw > 0 {
                    let link = try #require(find("plain0", .tcx))
                    #expect(link.name == "somebody" && link.position == .ingress && link.link != nil)
                }
                // Neither `lo` nor a namespace that no chain lives in.
                #expect(shown.programs.filter { $0.interface != nil }.count == (raw > 0 ? 7 : 6), "\(shown.programs)")

                let text = try site.must("status", "--all")
                #expect(text.contains("inner0@edge") && text.contains("xdp generic") && text.contains("others"))
                #expect(try site.snapshot() == before)
                _ = consume tcx
            }
        }

        @Test(arguments: [HookKind.cgroupConnect4, .cgroupSkbIngress, .sockops])
        func statusShowsWhatIsOnCgroups(_ kind: HookKind) async throws {
            try await HookSite.run(HookCase(kind: kind)) { hooks in
                try hooks.site.apply(hooks.walk(1))
                let root = try BPFProgram.pinned(at: hooks.directory.root).id
                let program = try HookTakeOverTests.load(hooks)
                try Cgroup.attachWithoutLink(program, as: hooks.directory.hook.program(frags: false), to: hooks.cgroup)
                let text = try hooks.site.must("status", "--all", "--output", "json")
                let shown: Shown = try hooks.site.decode(text)
                let here = shown.programs.filter { $0.cgroup == hooks.directory.hook.place }
                #expect(
                    here.map(\.id).sorted() == [root, program.id].sorted() && here.allSatisfy { $0.hook == .cgroup })
                #expect(here.allSatisfy { kind.rawValue.hasSuffix($0.position.rawValue) }, "\(here)")
                let ours = try #require(here.first { $0.id == root }),
                    theirs = try #require(here.first { $0.id != root })
                #expect(ours.chain == hooks.hook && ours.link != nil && theirs.chain == nil && theirs.link == nil)
                #expect(theirs.name == String(hooks.row.plain.prefix(15)))
            }
        }

        /// Without CAP_SYS_ADMIN the ids are all that can be told of a program that is not pinned.
        @Test func namesThatMayNotBeLookedUp() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start(prefix: ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps=-all"])
                try site.apply(Site.dropping(port: 7))
                try lab.addVeth("plain0", VethEnd("plain1", netns: "client"))
                try site.attachForeign(to: "plain0")
                let shown: Shown = try site.decode(site.must("status", "--all", "--output", "json"))
                #expect(shown.programs.filter { $0.interface != nil }.map(\.name) == ["sluice_root", nil])
                #expect(shown.notes.contains { $0.contains("CAP_SYS_ADMIN") }, "\(shown.notes)")
            }
        }
    }
}
