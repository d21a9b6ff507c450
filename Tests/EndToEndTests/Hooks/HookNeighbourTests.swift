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
    /// What others have at the same place, before and behind a chain, stays there and goes on running.
    @Suite struct HookNeighbourTests {
        static let rows = HookCase.all.filter { [.tcIngress, .tcEgress].contains($0.kind) }

        /// Somebody's program that counts and lets everything go on, and what it has counted.
        private final class Watcher {
            private let object: BPFObject
            let program: BPFProgram

            init() throws {
                object = try BPFObject(contentsOf: BuildProducts.object("plain", of: "fixture-stage"))
                try object.load(program: "plain_watcher", as: .tc)
                program = try object.program("plain_watcher")
            }

            func seen() throws -> UInt64 { try object.loadedMap("seen").counters(at: 0)?[0] ?? 0 }
        }

        private final class LinkHolder {
            private let link: BPFLink
            init(_ link: consuming BPFLink) { self.link = link }
        }

        private static func qdiscs(_ hooks: HookSite) throws -> Int {
            try hooks.lab.check(["tc", "qdisc", "show", "dev", "hook0"]).split(separator: "\n")
                .count { $0.contains("clsact") }
        }

        @Test(arguments: rows)
        func classifiersOfOthersStayAndRun(_ row: HookCase) async throws {
            try await HookSite.run(row) { hooks in
                let index = try hooks.lab.interfaceIndex("hook0")
                let direction: TrafficControl.Direction = row.kind == .tcEgress ? .egress : .ingress
                // In front of the chain by priority, behind it, and by tcx where there is that.
                let (before, behind) = (try Watcher(), try Watcher())
                let (early, late) = (try Watcher(), try Watcher())
                let hasTCX = KernelVersion.running >= "6.6"
                func attachByLink(_ watcher: Watcher) throws -> LinkHolder? {
                    hasTCX ? LinkHolder(try TrafficControl.attachByLink(watcher.program, to: index, direction)) : nil
                }
                try TrafficControl.attachByFilter(before.program, to: index, direction, priority: 1, handle: 7)
                let first = try attachByLink(early)
                try hooks.site.apply(hooks.walk(1))
                try TrafficControl.attachByFilter(behind.program, to: index, direction, priority: 100, handle: 7)
                let last = try attachByLink(late)

                func expectAll(_ offered: UInt64) throws {
                    let seen = try [before.seen(), behind.seen()] + (hasTCX ? [early.seen(), late.seen()] : [])
                    #expect(seen.allSatisfy { $0 >= offered }, "\(seen)")
                }
                #expect(try hooks.call(20).isPerfect)
                try expectAll(20)
                try hooks.site.apply(hooks.walk(2))
                try hooks.site.must("rollback", hooks.hook)
                #expect(try hooks.call(20).isPerfect)
                try expectAll(40)
                #expect(try hooks.marks() == (40, 0))
                // The chain's own verdict ends the walk of those behind it, as traffic control has it.
                try hooks.site.apply(hooks.walk(3, verdict: .drop))
                #expect(try !hooks.passes())
                #expect(try behind.seen() == 40)
                try hooks.site.must("detach", hooks.hook)
                #expect(try hooks.call(20).isPerfect)
                try expectAll(60)
                #expect(try hooks.programs().count == (hasTCX ? 4 : 2))
                // Somebody else made it.
                for priority in [1, 100] {
                    try TrafficControl.removeFilter(from: index, direction, priority: priority, handle: 7)
                }
                #expect(try Self.qdiscs(hooks) == 1)
                withExtendedLifetime((first, last)) {}
            }
        }

        /// The qdisc goes with the last of those that Sluice made it for, and with nobody else's.
        @Test func theQdiscGoesWithTheLastChain() async throws {
            try await HookSite.run(HookCase(kind: .tcIngress, mode: "clsact")) { hooks in
                let index = try hooks.lab.interfaceIndex("hook0")
                let other = "tc-egress:hook0"
                // In either order.
                for order in [[hooks.hook, other], [other, hooks.hook]] {
                    for hook in [hooks.hook, other] { try hooks.site.apply(hooks.walk(1, hook: hook)) }
                    #expect(try Self.qdiscs(hooks) == 1)
                    try hooks.site.must("detach", order[0])
                    #expect(try Self.qdiscs(hooks) == 1)
                    try hooks.site.must("detach", order[1])
                    #expect(try Self.qdiscs(hooks) == 0)
                }
                // Put there meanwhile: a program, and what is no program, where the kernel has it.
                let watcher = try Watcher()
                try hooks.site.apply(hooks.walk(1))
                try TrafficControl.attachByFilter(watcher.program, to: index, .egress, priority: 1, handle: 7)
                try hooks.site.must("detach", hooks.hook)
                #expect(try Self.qdiscs(hooks) == 1)
                try TrafficControl.removeQdisc(from: index)

                try hooks.site.apply(hooks.walk(1))
                let matchall = try hooks.lab.spawn([
                    "tc", "filter", "add", "dev", "hook0", "ingress", "matchall", "classid", "1:1",
                ])
                let hasMatchall = try matchall.wait() == .exited(0)
                print("a classifier that is no program: \(hasMatchall ? "there" : matchall.errors)")
                try hooks.site.must("detach", hooks.hook)
                #expect(try Self.qdiscs(hooks) == (hasMatchall ? 1 : 0))
                #expect(
                    try hooks.lab.check(["tc", "filter", "show", "dev", "hook0", "ingress"]).contains("matchall")
                        == hasMatchall)
            }
        }

        /// systemd's own and others' are asked beside the chain.
        @Test(arguments: [HookKind.cgroupConnect4, .cgroupSkbEgress])
        func programsOfOthersOnTheCgroupStayAndRun(_ kind: HookKind) async throws {
            try await HookSite.run(HookCase(kind: kind)) { hooks in
                let object = try BPFObject(contentsOf: BuildProducts.object("plain", of: "fixture-stage"))
                let program = hooks.directory.hook.program(frags: false)
                try object.load(program: hooks.row.plain, as: program)
                let link = try Cgroup.attach(object.program(hooks.row.plain), as: program, to: hooks.cgroup)
                let seen = { try object.loadedMap("seen").counters(at: 0) ?? [] }
                try hooks.site.apply(hooks.walk(1))
                #expect(try hooks.call(20).isPerfect)
                // One of the two that denies is enough.
                #expect(try hooks.call(20, port: 7).refused == 20)
                try hooks.site.apply(hooks.walk(2))
                try hooks.site.must("detach", hooks.hook)
                #expect(try hooks.call(20).isPerfect)
                #expect(try seen() == [40, 20] && hooks.programs().count == 1)
                withExtendedLifetime(link.fd.raw) {}
            }
        }
    }
}
