// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// The daemon is killed after each single step of a change, at every hook, under traffic of which nothing may be lost:
    /// what is live is the old generation or the new one, and the next start settles all else.
    @Suite struct HookCrashTests {
        struct Crash: Sendable, CustomTestStringConvertible {
            var row: HookCase
            var action: Action
            var point: FaultPoint
            var testDescription: String { "\(row.testDescription), \(action.rawValue), \(point)" }
        }

        enum Action: String, CaseIterable {
            case apply, upgrade, rollback, detach

            /// The live generation before it; nil for no chain.
            var old: Int? { self == .apply ? nil : self == .upgrade ? 3 : 2 }

            func points(at row: HookCase) -> [FaultPoint] {
                let attaching: [FaultPoint] = row.hasLink ? [.linkAttached, .linkPinned] : [.linkAttached]
                switch self {
                case .apply:
                    return [.artifactsKept, .rootFolderMade, .entryPinned, .rootPinned] + Self.building(at: row)
                        + attaching
                case .upgrade:
                    return Self.building(at: row) + [
                        .retireStarted, .retireRenamed, .retirePartlyRemoved, .retireRemoved, .retireRecorded,
                        .stateCollected, .artifactsCollected,
                    ]
                case .rollback: return [.rollbackFlipped, .rollbackRecorded]
                case .detach: return [.detachRecorded, .linkDetached, .hookPartlyRemoved, .artifactsCollected]
                }
            }

            private static func building(at row: HookCase) -> [FaultPoint] {
                CrashTests.building.filter { row.kind.hasPackets || $0 != .preflightCopyBuilt }
            }

            func prepare(_ hooks: HookSite) throws {
                for generation in 1...3 where generation <= old ?? 0 { try hooks.site.apply(hooks.walk(generation)) }
            }

            func act(_ hooks: HookSite) throws -> Site.Result {
                switch self {
                case .apply: try hooks.site.ctl("apply", "-f", "-", input: hooks.walk(1))
                case .upgrade: try hooks.site.ctl("upgrade", hooks.hook, "check", "--to", "1.1")
                case .rollback: try hooks.site.ctl("rollback", hooks.hook)
                case .detach: try hooks.site.ctl("detach", hooks.hook)
                }
            }

            /// What may be live after it was broken off: all as before, or all as after it.
            var outcomes: [Int?] {
                switch self {
                case .apply: [nil, 1]
                case .upgrade: [3, 4]
                case .rollback: [2, 1]
                case .detach: [2, nil]
                }
            }
        }

        /// All of them, some 700: `SLUICE_SWEEP=all` in the environment, or those of the hooks that it names.
        static let sweep = HookCase.all.flatMap { row in
            Action.allCases.flatMap { action in
                action.points(at: row).map { Crash(row: row, action: action, point: $0) }
            }
        }

        /// Else where roots are put on and taken off, once for each way of it, and of each other hook one step, another one
        /// each time.
        static let crashes =
            ProcessInfo.processInfo.environment["SLUICE_SWEEP"].map { named in
                sweep.filter { named == "all" || named.components(separatedBy: ",").contains($0.row.testDescription) }
            }
            ?? HookCase.usual.enumerated().flatMap { index, row in
                let own = sweep.filter { $0.row.testDescription == row.testDescription }
                return HookCase.attachments.contains(row.testDescription)
                    ? own.filter { [.linkAttached, .linkDetached].contains($0.point) } : [own[index * 7 % own.count]]
            }

        /// Not even when a hook's name is mistyped.
        @Test func thereAreSome() { #expect(!Self.crashes.isEmpty) }

        @Test(arguments: crashes)
        func killedAtEveryStep(_ crash: Crash) async throws {
            try await HookSite.run(crash.row) { hooks in
                let site = hooks.site
                // The kernel itself loses what is sent while a qdisc is made or removed, whoever does it.
                if crash.row.told == "clsact" { try hooks.lab.check(["tc", "qdisc", "add", "dev", "hook0", "clsact"]) }
                site.killDaemon()
                try site.start(keep: 3)
                try crash.action.prepare(hooks)
                site.killDaemon()
                // Where sockets are put into a group by hand, they are no part of one that is not there yet.
                let caller = try hooks.start()
                try site.start(fault: crash.point.rawValue, keep: 2)
                _ = try crash.action.act(hooks)
                let status = try site.daemon!.wait(timeout: .seconds(10))
                #expect(status == .signaled(9), "the step was not reached")
                #expect(try crash.action.outcomes.contains(hooks.liveAndAttached()))
                try site.start(keep: 2)
                let live = try hooks.liveAndAttached()
                #expect(crash.action.outcomes.contains(live), "\(String(describing: live))")
                try hooks.expectSettled("started again")
                // Before the change that is tried anew: it may be one that can be made twice.
                let tally = try caller.stop()
                #expect(tally.lost + tally.wrong == 0, "\(tally)")
                // At sockops nothing passes that no program answers.
                let isBare = crash.row.kind == .sockops && crash.action.outcomes.contains(nil)
                #expect(tally.isPerfect || isBare, "\(tally)")

                let again = try crash.action.act(hooks)
                #expect(again.succeeded || live == crash.action.outcomes[1], "\(again.errors)")
                try hooks.expectSettled("and the change once more")
                if crash.action != .detach {
                    #expect(try hooks.call(20).isPerfect)
                    let marks = try hooks.marks()
                    #expect(marks.mixed == 0 && marks.consistent >= 20)
                } else {
                    #expect(try site.pins().isEmpty && hooks.programs().isEmpty)
                }
            }
        }
    }
}

extension HookSite {
    /// The live generation of a chain whose root is where it belongs; nil without one.
    func liveAndAttached() throws -> Int? {
        guard directory.exists, try directory.attachment.isAttached() else { return nil }
        return try directory.live()
    }

    /// Nothing half done is anywhere: bpffs, database, artifacts agree.
    func expectSettled(_ when: String) throws {
        try EndToEnd.CrashTests.settled(site, when, hook: hook, folder: directory.path)
    }
}
