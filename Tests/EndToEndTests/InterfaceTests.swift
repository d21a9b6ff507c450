// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import SluiceAPI
import StageTesting
import Testing

extension EndToEnd {
    /// Interfaces and network namespaces that come, go, move and change their names: the chain follows its hook, at once,
    /// and says so.
    @Suite struct InterfaceTests {
        /// Far less than the minute of the check-up, far more than it takes.
        static let soon = Duration.seconds(5)

        /// Waits until a chain is in a state, and says so in `status` and `events`.
        private static func expect(
            _ state: ChainState, of hook: String = "xdp:edge0", at site: Site, noting note: String? = nil,
            telling event: String, after count: Int
        ) throws {
            try site.lab.until("\(hook) is \(state)", timeout: soon) { try site.status(hook).state == state }
            if let note {
                let notes = try site.status(hook).notes
                #expect(notes.contains { $0.contains(note) }, "\(notes)")
            }
            try site.lab.until("it is told: \(event)", timeout: soon) {
                try site.events().dropFirst(count).contains { $0.message.contains(event) && $0.outcome == "done" }
            }
        }

        /// Makes an interface, waits until a root is on it, and says how long that took.
        private static func attach(
            to name: String, in netns: String? = nil, at site: Site, _ make: () throws -> Void
        ) throws {
            let start = ContinuousClock.now
            try make()
            let made = ContinuousClock.now
            try site.lab.until("the root is on \(name)", timeout: soon) { try roots(on: name, in: netns).count == 1 }
            print("\(name): made in \(made - start), attached \(ContinuousClock.now - start) after that began")
        }

        private static func roots(on name: String, in netns: String? = nil) throws -> [XDP.Attached] {
            var found: [XDP.Attached] = []
            try inNetworkNamespace(netns.map { "/run/netns/\($0)" }) { () throws(BPFError) in
                if let index = XDP.interfaceIndex(name) { found = try XDP.attached(to: index) }
            }
            return found
        }

        /// How many events there are, while no daemon runs.
        private static func kept(_ site: Site) throws -> Int {
            let query = "SELECT count(*) FROM event"
            let text = try site.lab.check(["sqlite3", "\(site.state)/sluice.db", query])
            return Int(text.filter(\.isNumber))!
        }

        /// One end of a veth goes with the other, and that one with its namespace, when nothing holds it any more.
        private static func waitForTheEnd(of name: String, _ site: Site) throws {
            try site.lab.until("\(name) has gone", timeout: soon) { XDP.interfaceIndex(name) == nil }
        }

        /// A site with a chain on an interface in a namespace of its own.
        private static func siteWithInner(_ lab: Lab) throws -> (site: Site, hook: String) {
            let site = try Site(lab)
            try site.start()
            try lab.addNamespace("edge")
            try makeInner(site)
            let hook = "xdp:inner0@edge"
            try site.apply(Site.dropping(port: 7, hook: hook))
            return (site, hook)
        }

        private static func makeInner(_ site: Site) throws {
            try site.lab.addVeth(VethEnd("inner0", netns: "edge"), VethEnd("outer0"))
        }

        @Test func anInterfaceDeletedAndMadeAgain() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 7))
                var count = try site.events().count
                try lab.ip(["link del edge0"])
                let there = "there is no interface \"edge0\"; the root is attached when there is one"
                try Self.expect(.waiting, at: site, noting: there, telling: there, after: count)
                // A chain that waits can be changed, and looked into.
                try site.apply(Site.dropping(port: 8))
                #expect(try site.ctl("doctor").succeeded)
                count = try site.events().count
                try Self.attach(to: "edge0", at: site) { try site.addInterface() }
                try Self.expect(.live, at: site, telling: "it had waited since", after: count)
                #expect(try site.status().notes.isEmpty)
                #expect(try !site.passes(port: 8) && site.passes(port: 7))
                // Made again in the same breath.
                count = try site.events().count
                try lab.ip(["link del edge0", "link add edge0 type veth peer client0 netns client"])
                try Self.expect(.live, at: site, telling: "attached the root to xdp:edge0", after: count)
                #expect(try Self.roots(on: "edge0").count == 1)
            }
        }

        /// A stacked device of a dotted name; a VLAN, where the kernel has them.
        @Test func anInterfaceWithADotInItsName() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                let make: () throws -> Void = {
                    let vlan = try lab.spawn(
                        ["ip", "link", "add", "link", "edge0", "name", "edge0.100", "type", "vlan", "id", "100"])
                    guard try vlan.wait() != .exited(0) else { return }
                    #expect(vlan.errors.contains("Unknown device type"), "\(vlan.errors)")
                    try lab.ip(["link add link edge0 name edge0.100 type macvlan"])
                }
                try make()
                let hook = "xdp:edge0.100"
                try site.apply(Site.dropping(port: 7))
                try site.apply(Site.noops(2, hook: hook, extra: "    mode: auto\n"))
                #expect(try site.status(hook).state == .live)
                #expect(FileManager.default.fileExists(atPath: "\(site.bpffs)/xdp:edge0%2E100/link"))
                var count = try site.events().count
                try lab.ip(["link del edge0.100"])
                try Self.expect(
                    .waiting, of: hook, at: site, noting: "no interface \"edge0.100\"",
                    telling: "no interface \"edge0.100\"", after: count)
                try Self.attach(to: "edge0.100", at: site, make)
                // With the device below it, it goes too.
                count = try site.events().count
                try lab.ip(["link del edge0"])
                for hook in [hook, "xdp:edge0"] {
                    try Self.expect(.waiting, of: hook, at: site, telling: "there is no interface", after: count)
                }
                try site.addInterface()
                try Self.attach(to: "edge0.100", at: site, make)
                for hook in [hook, "xdp:edge0"] {
                    try Self.expect(.live, of: hook, at: site, telling: "attached the root to \(hook)", after: count)
                }
                try site.must("detach", hook)
                try site.must("detach", "xdp:edge0")
                #expect(try site.pins().isEmpty)
            }
        }

        @Test func anInterfaceRenamedAndRenamedBack() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 7))
                let link = try BPFLink.pinned(at: "\(site.hookFolder)/link").info().id
                let rename = { (old: String, new: String) in
                    try lab.ip(["link set \(old) down", "link set \(old) name \(new)", "link set \(new) up"])
                }
                var count = try site.events().count
                try rename("edge0", "uplink0")
                // It still does its work; nobody else's packets are concerned.
                let renamed = "the interface was renamed to \"uplink0\", and the root goes on there"
                try Self.expect(.live, at: site, noting: renamed, telling: renamed, after: count)
                #expect(try Self.roots(on: "uplink0").count == 1)
                count = try site.events().count
                try rename("uplink0", "edge0")
                try Self.expect(.live, at: site, telling: "the interface has its name back", after: count)
                #expect(try site.status().notes.isEmpty)
                let after = try BPFLink.pinned(at: "\(site.hookFolder)/link").info().id
                #expect(after == link)
                // Another one gets the name: the hook is the name, so the root moves.
                try rename("edge0", "uplink0")
                count = try site.events().count
                try lab.ip(["link add edge0 type veth peer client1 netns client"])
                try Self.expect(.live, at: site, telling: "attached the root to xdp:edge0", after: count)
                #expect(try Self.roots(on: "edge0").count == 1 && Self.roots(on: "uplink0").isEmpty)
            }
        }

        @Test func anInterfaceMovedToAnotherNamespaceAndBack() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                let daemon = try site.start()
                try site.apply(Site.dropping(port: 7))
                try lab.addNamespace("far")
                var count = try site.events().count
                try lab.ip(["link set edge0 netns far"])
                try Self.expect(
                    .waiting, at: site, noting: "there is no interface \"edge0\"",
                    telling: "the interface is in another network namespace now; the root was taken off it",
                    after: count)
                #expect(try Self.roots(on: "edge0", in: "far").isEmpty)
                count = try site.events().count
                try Self.attach(to: "edge0", at: site) {
                    try lab.ip(["link set edge0 netns \(daemon.pid)"], netns: "far")
                }
                try Self.expect(.live, at: site, telling: "attached the root to xdp:edge0", after: count)
                // While nobody looks.
                site.killDaemon()
                count = try Self.kept(site)
                try lab.ip(["link set edge0 netns far"])
                #expect(try Self.roots(on: "edge0", in: "far").count == 1)
                try site.start()
                try Self.expect(.waiting, at: site, telling: "the root was taken off it", after: count)
                #expect(try Self.roots(on: "edge0", in: "far").isEmpty)
            }
        }

        @Test func aNamespaceDeletedAndMadeAgain() async throws {
            try await Lab.run { lab in
                let (site, hook) = try Self.siteWithInner(lab)
                var count = try site.events().count
                let start = ContinuousClock.now
                try lab.check(["ip", "netns", "del", "edge"])
                try Self.expect(
                    .waiting, of: hook, at: site, noting: "there is no network namespace /run/netns/edge",
                    telling: "there is no network namespace /run/netns/edge", after: count)
                print("a deleted namespace was told after \(ContinuousClock.now - start)")
                // Nothing of ours keeps it alive.
                try Self.waitForTheEnd(of: "outer0", site)
                #expect(try site.ctl("doctor").succeeded)
                count = try site.events().count
                try lab.addNamespace("edge")
                try Self.attach(to: "inner0", in: "edge", at: site) { try Self.makeInner(site) }
                try Self.expect(.live, of: hook, at: site, telling: "attached the root to \(hook)", after: count)
                // Deleted and made again in the same breath, with the interface in it.
                count = try site.events().count
                try lab.check(["sh", "-c", "ip netns del edge; ip netns add edge"])
                try Self.waitForTheEnd(of: "outer0", site)
                try Self.attach(to: "inner0", in: "edge", at: site) { try Self.makeInner(site) }
                try Self.expect(.live, of: hook, at: site, telling: "attached the root to \(hook)", after: count)
            }
        }

        /// It has lost its name, but a process lives in it.
        @Test func aNamespaceThatLivesOnWithoutItsName() async throws {
            try await Lab.run { lab in
                let (site, hook) = try Self.siteWithInner(lab)
                let inhabitant = try lab.spawn(["sleep", "1000"], netns: "edge")
                var count = try site.events().count
                try lab.check(["ip", "netns", "del", "edge"])
                let stays = "as long as its interface lives, the root stays there"
                try Self.expect(.waiting, of: hook, at: site, noting: stays, telling: stays, after: count)
                try lab.check(["ip", "netns", "attach", "edge", "\(inhabitant.pid)"])
                try lab.until("it is where it was", timeout: Self.soon) { try site.status(hook).state == .live }
                #expect(try Self.roots(on: "inner0", in: "edge").count == 1)
                // The name goes to another one.
                count = try site.events().count
                try lab.check(["ip", "netns", "del", "edge"])
                try lab.addNamespace("edge")
                try lab.addVeth(VethEnd("inner0", netns: "edge"), VethEnd("outer1"))
                try Self.expect(.live, of: hook, at: site, telling: "attached the root to \(hook)", after: count)
                #expect(try Self.roots(on: "inner0", in: "edge").count == 1)
                let old = try lab.check(["nsenter", "-t", "\(inhabitant.pid)", "-n", "ip", "link", "show", "inner0"])
                #expect(!old.contains("xdp"), "\(old)")
            }
        }

        @Test func aNamespaceThatIsNotThereAtStart() async throws {
            try await Lab.run { lab in
                let (site, hook) = try Self.siteWithInner(lab)
                site.killDaemon()
                try lab.check(["ip", "netns", "del", "edge"])
                try Self.waitForTheEnd(of: "outer0", site)
                let count = try Self.kept(site)
                try site.start()
                try Self.expect(
                    .waiting, of: hook, at: site, noting: "there is no network namespace /run/netns/edge",
                    telling: "there is no network namespace /run/netns/edge", after: count)
                try lab.addNamespace("edge")
                try Self.attach(to: "inner0", in: "edge", at: site) { try Self.makeInner(site) }
                try Self.expect(.live, of: hook, at: site, telling: "it had waited since", after: count)
            }
        }
    }
}
