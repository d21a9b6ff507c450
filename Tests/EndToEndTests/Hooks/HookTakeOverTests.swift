// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// Running programs of others become stages where a hook has room for both: what they deny is denied all the time. For
    /// XDP see ``AdoptTests``.
    @Suite struct HookTakeOverTests {
        static let rows = HookCase.usual.filter { $0.kind.place != .group && $0.kind != .xdp }
        /// One for each way in which programs of others are attached.
        static let manners = rows.filter {
            ["tc-ingress", "tc-egress (clsact)", "cgroup-connect4"].contains($0.testDescription)
        }

        static let object = BuildProducts.object("plain", of: "fixture-stage")

        /// What only the object's program denies.
        private static let denied = 7

        @Test(arguments: rows)
        func aRunningProgramGoesOnAsAStage(_ row: HookCase) async throws {
            try await HookSite.run(row) { hooks in
                let site = hooks.site
                try Self.attach(hooks)
                let foreign = try hooks.programs()
                #expect(try foreign.count == 1 && !hooks.passes(port: Self.denied) && hooks.passes())
                let seen = try Self.seen(of: foreign[0])
                let caller = try hooks.start(port: Self.denied, wait: 20 * Lab.patience)

                let done = try Self.adopt(hooks, "-m", "ours")
                print("\(row.testDescription): \(done)")
                let root = try BPFProgram.pinned(at: hooks.directory.root).id
                #expect(try hooks.programs() == [root] && hooks.passes())
                let status = try hooks.status()
                #expect(status.stages.map(\.name) == ["plain"])
                #expect(status.notes.contains { $0.contains("was replaced here; `detach --restore` puts it back") })
                #expect(try hooks.history()[0].message == "ours")
                let event = try #require(try site.events().last { $0.action == "adopt" })
                #expect(event.message.contains("replaced program \"\(row.plain.prefix(15))\""), "\(event.message)")
                #expect(try site.ctl("doctor").succeeded)

                // What is written down as it says is what runs; and another stage comes behind it.
                let stage = try #require(done.firstMatch(of: /for the spec: (.*)/)?.1)
                let isClassifier = row.told == "clsact"
                #expect(done.contains("for the chain: mode: clsact") == isClassifier)
                let mode = isClassifier ? "    mode: clsact\n" : ""
                let spec = "chains:\n  - hook: \(hooks.hook)\n\(mode)    stages:\n      - \(stage)\n"
                #expect(try site.ctl("plan", "-f", "-", input: spec).status == .exited(0))
                try site.apply(spec + "      - {name: behind, plugin: noop}\n")
                #expect(try hooks.passes())

                try site.must("detach", hooks.hook, "--restore")
                #expect(try hooks.programs() == foreign && site.pins().isEmpty)
                let tally = try caller.stop()
                #expect(tally.passed == 0 && tally[keyPath: row.denial] == tally.offered, "\(tally)")
                #expect(try !hooks.passes(port: Self.denied) && hooks.passes())
                // Its map has been its own all the time.
                let counted = try Self.seen(of: foreign[0])
                #expect(counted.denied >= seen.denied + tally.offered && counted.allowed > seen.allowed)
            }
        }

        @Test(arguments: manners)
        func whichOneMustBeSaid(_ row: HookCase) async throws {
            try await HookSite.run(row) { hooks in
                let site = hooks.site
                let none = try Self.tryToAdopt(hooks)
                #expect(none.errors.contains("no program runs there"), "\(none.errors)")
                try site.apply(hooks.walk(1))
                let own = try Self.tryToAdopt(hooks)
                #expect(own.errors.contains("no other program than the chain's own root is on"), "\(own.errors)")

                try Self.attach(hooks)
                try Self.attach(hooks, priority: 2)
                let root = try BPFProgram.pinned(at: hooks.directory.root).id
                let others = try hooks.programs().filter { $0 != root }
                let first = try #require(others.count == 2 ? others[0] : nil)
                let before = try (hooks.programs(), site.snapshot())
                let either = try Self.tryToAdopt(hooks)
                #expect(
                    either.errors.contains("2 programs may be meant: program \"\(row.plain.prefix(15))\""),
                    "\(either.errors)")
                #expect(either.errors.contains("say which by its id (--program ID)"))
                let neither = try Self.tryToAdopt(hooks, "--program", "other")
                #expect(
                    neither.errors.contains("no program \"other\" of others runs there, but program"),
                    "\(neither.errors)")
                let wrong = try site.ctl(
                    "adopt", hooks.hook, "plain", "--program", "\(first)", "--object",
                    Self.object + (row.kind.place == .cgroup ? "#plain_xdp" : "#plain_watcher"))
                #expect(wrong.status == .exited(1), "\(wrong.errors)")
                #expect(try (hooks.programs(), site.snapshot()) == before)

                try Self.adopt(hooks, "--program", "\(first)")
                #expect(try hooks.programs().count == 2 && !hooks.programs().contains(first))
                #expect(try hooks.status().stages.map(\.name) == ["plain", "stamp", "check"])
                // The other one is left alone, and found by its name, as it is the only one.
                try Self.adopt(hooks, "--program", String(row.plain.prefix(15)), as: "second")
                #expect(try hooks.programs().count == 1)
                #expect(try hooks.status().stages.map(\.name) == ["second", "plain", "stamp", "check"])
                try site.must("detach", hooks.hook, "--restore")
                #expect(try Set(hooks.programs()) == Set(others))
            }
        }

        /// What is attached by a link is its owner's.
        @Test(arguments: manners.filter(\.hasLink))
        func whatHasALinkStays(_ row: HookCase) async throws {
            try await HookSite.run(row) { hooks in
                let program = try Self.load(hooks)
                let link = try Self.link(program, hooks)
                let refused = try Self.tryToAdopt(hooks)
                #expect(
                    refused.errors.contains("it is attached by a link, which only its owner can end: process"),
                    "\(refused.errors)")
                #expect(try hooks.programs().count == 1 && hooks.site.pins().isEmpty)
                try link.detach()
            }
        }

        /// Beside it the root cannot be, and without the root it is not taken off.
        @Test func whatToleratesNoOtherStays() async throws {
            try await HookSite.run(HookCase(kind: .cgroupConnect4)) { hooks in
                let pin = "\(hooks.lab.bpffs)/plain"
                try Self.load(hooks).pin(at: pin)
                try hooks.lab.check(["bpftool", "cgroup", "attach", hooks.cgroup, "connect4", "pinned", pin])
                let before = try (hooks.programs(), hooks.site.snapshot())
                let refused = try Self.tryToAdopt(hooks)
                #expect(refused.errors.contains("that tolerates no other"), "\(refused.errors)")
                #expect(try (hooks.programs(), hooks.site.snapshot()) == before)
                #expect(try !hooks.passes(port: Self.denied) && hooks.site.ctl("doctor").succeeded)
            }
        }

        /// A stage is asked for all packets, and decides.
        @Test func aClassifierOfAnotherKindStays() async throws {
            try await HookSite.run(HookCase(kind: .tcIngress)) { hooks in
                let pin = "\(hooks.lab.bpffs)/plain"
                try Self.load(hooks).pin(at: pin)
                for kind in [
                    ["protocol", "ip", "prio", "1", "bpf", "direct-action"], ["prio", "1", "bpf"],
                    ["chain", "3", "bpf", "direct-action"],
                ] {
                    try hooks.lab.check(["tc", "qdisc", "add", "dev", "hook0", "clsact"])
                    try hooks.lab.check(
                        ["tc", "filter", "add", "dev", "hook0", "ingress"] + kind + ["object-pinned", pin])
                    let refused = try Self.tryToAdopt(hooks)
                    #expect(
                        refused.errors.contains("a stage is asked for all packets and decides"),
                        "\(kind): \(refused.errors)")
                    try hooks.lab.check(["tc", "qdisc", "del", "dev", "hook0", "clsact"])
                }
            }
        }

        /// The program or the chain is there after a crash, with its rules, and never neither.
        @Test(
            arguments: manners,
            [
                FaultPoint.foreignPinned, .flipped, .linkAttached, .linkPinned, .foreignRemoved, .liveRecorded,
            ])
        func killedInTheMiddle(_ row: HookCase, _ point: FaultPoint) async throws {
            // A classifier is no link, and a link that is not pinned ends with the daemon.
            guard row.hasLink || point != .linkPinned else { return }
            let isAdopted =
                [.linkPinned, .foreignRemoved, .liveRecorded].contains(point) || !row.hasLink && point == .linkAttached
            try await Self.killed(row, point, adopted: isAdopted) { hooks in _ = try Self.tryToAdopt(hooks) }
        }

        /// The same where a chain is there already, before which the stage comes.
        @Test(
            arguments: manners,
            [FaultPoint.foreignPinned, .generationRenamed, .flipped, .foreignRemoved, .liveRecorded])
        func killedBesideAChain(_ row: HookCase, _ point: FaultPoint) async throws {
            try await HookSite.run(row) { hooks in
                let site = hooks.site
                try site.apply(hooks.walk(1))
                try Self.attach(hooks)
                let both = try Set(hooks.programs())
                let root = try BPFProgram.pinned(at: hooks.directory.root).id
                let caller = try hooks.start(port: Self.denied, wait: 20 * Lab.patience)
                site.killDaemon()
                try site.start(fault: point.rawValue)
                _ = try Self.tryToAdopt(hooks)
                #expect(try site.daemon!.wait(timeout: .seconds(10)) == .signaled(9), "\(point) was not reached")
                try site.start()
                let isAdopted = ![.foreignPinned, .generationRenamed].contains(point)
                #expect(try Set(hooks.programs()) == (isAdopted ? [root] : both))
                #expect(try hooks.status().stages.map(\.name) == (isAdopted ? ["plain"] : []) + ["stamp", "check"])
                let pins = try Bpffs.list(hooks.directory.path)
                #expect(pins.contains { $0.hasPrefix("foreign_") } == isAdopted, "\(pins)")
                #expect(!pins.contains { $0.hasPrefix("leaving_") }, "\(pins)")
                #expect(try site.ctl("doctor").succeeded && hooks.passes())
                let tally = try caller.stop()
                #expect(tally.passed == 0 && tally[keyPath: row.denial] == tally.offered, "\(tally)")
            }
        }

        @Test(arguments: manners, [FaultPoint.restoreMarked, .detachRecorded, .foreignRestored, .linkDetached])
        func killedWhilePuttingBack(_ row: HookCase, _ point: FaultPoint) async throws {
            try await Self.killed(row, point, begun: true, adopted: point == .restoreMarked) { hooks in
                _ = try hooks.site.ctl("detach", hooks.hook, "--restore")
            }
        }

        private static func killed(
            _ row: HookCase, _ point: FaultPoint, begun: Bool = false, adopted: Bool,
            _ act: @escaping @Sendable (HookSite) throws -> Void
        ) async throws {
            try await HookSite.run(row) { hooks in
                let site = hooks.site
                try attach(hooks)
                let foreign = try hooks.programs()
                if begun { try adopt(hooks) }
                let caller = try hooks.start(port: denied, wait: 20 * Lab.patience)
                site.killDaemon()
                try site.start(fault: point.rawValue)
                try act(hooks)
                #expect(try site.daemon!.wait(timeout: .seconds(10)) == .signaled(9), "\(point) was not reached")
                try site.start()
                let isAdopted = try hooks.liveAndAttached() != nil
                #expect(isAdopted == adopted)
                let programs = try hooks.programs()
                #expect(try programs == (isAdopted ? [BPFProgram.pinned(at: hooks.directory.root).id] : foreign))
                #expect(try isAdopted || site.pins().isEmpty)
                #expect(try site.ctl("doctor").succeeded && hooks.passes())
                if !isAdopted { try adopt(hooks) }
                try site.must("detach", hooks.hook, "--restore")
                #expect(try hooks.programs() == foreign)
                let tally = try caller.stop()
                #expect(tally.passed == 0 && tally[keyPath: row.denial] == tally.offered, "\(tally)")
            }
        }

        @discardableResult
        private static func adopt(_ hooks: HookSite, _ more: String..., as stage: String = "plain") throws -> String {
            let done = try hooks.site.ctl(arguments(hooks, stage) + more)
            guard done.succeeded else { throw LabError(done.errors) }
            return done.output
        }

        private static func tryToAdopt(_ hooks: HookSite, _ more: String...) throws -> Site.Result {
            try hooks.site.ctl(arguments(hooks, "plain") + more)
        }

        private static func arguments(_ hooks: HookSite, _ stage: String) -> [String] {
            ["adopt", hooks.hook, stage, "--object", "\(object)#\(hooks.row.plain)"]
        }

        static func load(_ hooks: HookSite) throws -> BPFProgram {
            let object = try BPFObject(contentsOf: object)
            try object.load(program: hooks.row.plain, as: hooks.directory.hook.program(frags: false))
            return try object.program(hooks.row.plain)
        }

        /// As others do it that have no use for links: `tc filter add`, `bpftool net attach`, `bpftool cgroup attach`.
        private static func attach(_ hooks: HookSite, priority: Int = 1) throws {
            let program = try load(hooks)
            let index = XDP.interfaceIndex("hook0") ?? 0
            let direction: TrafficControl.Direction = hooks.row.kind == .tcEgress ? .egress : .ingress
            switch (hooks.row.kind.place, hooks.row.told) {
            case (.interface, "clsact"):
                try TrafficControl.attachByFilter(program, to: index, direction, priority: priority, handle: 0x51)
            case (.interface, _): try TrafficControl.attachWithoutLink(program, to: index, direction)
            default:
                try Cgroup.attachWithoutLink(program, as: hooks.directory.hook.program(frags: false), to: hooks.cgroup)
            }
        }

        private static func link(_ program: borrowing BPFProgram, _ hooks: HookSite) throws -> BPFLink {
            guard hooks.row.kind.place == .interface else {
                return try Cgroup.attach(program, as: hooks.directory.hook.program(frags: false), to: hooks.cgroup)
            }
            return try TrafficControl.attachByLink(program, to: XDP.interfaceIndex("hook0") ?? 0, .ingress)
        }

        /// What a running program has counted.
        private static func seen(of program: UInt32) throws -> (allowed: UInt64, denied: UInt64) {
            guard let running = BPFProgram.withID(program), let id = try running.mapIDs().first,
                let map = BPFMap.withID(id), let value = try map.lookup(key: BPF.bytes(of: UInt32(0)))
            else { throw LabError("no map of program #\(program)") }
            return value.withUnsafeBytes { ($0.load(as: UInt64.self), $0.load(fromByteOffset: 8, as: UInt64.self)) }
        }
    }
}
