// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import SluiceCore
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    /// The daemon is killed after each single step of each change. Packets must see the old chain or the new one, the
    /// next start must settle everything, and the change must then go through.
    @Suite struct CrashTests {
        struct Action: Sendable, CustomTestStringConvertible {
            var name: String
            var prepare: @Sendable (Site) throws -> Void
            var act: @Sendable (Site) throws -> Site.Result
            /// The port dropped before and after; nil for no chain at all.
            var old: UInt16?
            var new: UInt16?
            var points: [FaultPoint]
            var testDescription: String { name }
        }

        static let building: [FaultPoint] = [
            .generationRecorded, .buildFolderMade, .chainPinned, .stageLoaded, .stagePinned, .mapsPinned, .mapsFilled,
            .chainFilled, .metaPinned, .preflightCopyBuilt, .preflightDone, .generationRenamed, .flipped, .liveRecorded,
            .changeRecorded,
        ]
        static let retiring: [FaultPoint] = [
            .retireStarted, .retireRenamed, .retirePartlyRemoved, .retireRemoved, .retireRecorded, .stateCollected,
            .artifactsCollected,
        ]

        static let actions: [Action] = [
            Action(
                name: "first apply", prepare: { _ in },
                act: { try $0.ctl("apply", "-f", "-", input: Site.dropping(port: 8)) }, old: nil, new: 8,
                points: building + [
                    .artifactsKept, .rootFolderMade, .entryPinned, .rootPinned, .stateMapPinned, .linkAttached,
                    .linkPinned,
                ]),
            Action(
                name: "second apply",
                prepare: { site in for port in [5, 6, 7] { try site.apply(Site.dropping(port: port)) } },
                act: { try $0.ctl("apply", "-f", "-", input: Site.dropping(port: 8)) }, old: 7, new: 8,
                points: building + retiring),
            Action(
                name: "upgrade",
                prepare: { site in for port in [6, 7] { try site.apply(Site.dropping(port: port)) } },
                act: { try $0.ctl("upgrade", "xdp:edge0", "dos", "--to", "1.1") }, old: 7, new: 7,
                // Otherwise it is a second apply.
                points: [.artifactsKept, .generationRecorded, .stateMapPinned, .preflightDone, .flipped, .liveRecorded]),
            Action(
                name: "rollback",
                prepare: { site in for port in [8, 7] { try site.apply(Site.dropping(port: port)) } },
                act: { try $0.ctl("rollback", "xdp:edge0") }, old: 7, new: 8,
                points: [.rollbackFlipped, .rollbackRecorded]),
            Action(
                name: "gc",
                prepare: { site in
                    for port in [4, 5, 6, 7] { try site.apply(Site.dropping(port: port)) }
                },
                act: { try $0.ctl("gc") }, old: 7, new: 7, points: retiring),
            Action(
                name: "detach", prepare: { site in for port in [6, 7] { try site.apply(Site.dropping(port: port)) } },
                act: { try $0.ctl("detach", "xdp:edge0") }, old: 7, new: nil,
                points: [.detachRecorded, .linkDetached, .hookPartlyRemoved, .artifactsCollected]),
            Action(
                name: "replace", prepare: { try $0.attachForeign() },
                act: { try $0.ctl("apply", "-f", "-", "--replace", input: Site.dropping(port: 8)) }, old: nil, new: 8,
                points: [.foreignPinned, .foreignRemoved, .linkAttached, .linkPinned]),
            Action(
                name: "restore",
                prepare: { site in
                    try site.attachForeign()
                    try site.must("apply", "-f", "-", "--replace", input: Site.dropping(port: 7))
                },
                act: { try $0.ctl("detach", "xdp:edge0", "--restore") }, old: 7, new: nil,
                points: [.restoreMarked, .detachRecorded, .linkDetached, .foreignRestored, .hookPartlyRemoved]),
            Action(
                name: "canary", prepare: { site in for port in [6, 7] { try site.apply(Site.dropping(port: port)) } },
                act: { try canary($0) }, old: 7, new: 7,
                points: [
                    .generationRecorded, .generationRenamed, .splitterBuilt, .canaryRecorded, .canarySplit,
                ]),
            Action(
                name: "canary step",
                prepare: { site in for port in [6, 7] { try site.apply(Site.dropping(port: port)) } },
                act: { try canary($0, share: "99.98%,99.99%", time: "300ms") }, old: 7, new: 7,
                points: [.canaryStepped]),
            Action(
                name: "promotion",
                prepare: { site in
                    for port in [5, 6, 7] { try site.apply(Site.dropping(port: port)) }
                    _ = try canary(site)
                },
                act: { try $0.ctl("canary", "promote", "xdp:edge0") }, old: 7, new: 7,
                points: [.canaryFlipped, .candidateRecorded, .splitterRemoved, .canaryEnded] + retiring),
            Action(
                name: "abort",
                prepare: { site in
                    for port in [6, 7] { try site.apply(Site.dropping(port: port)) }
                    _ = try canary(site)
                },
                act: { try $0.ctl("canary", "abort", "xdp:edge0") }, old: 7, new: 7,
                points: [
                    .canaryFlipped, .splitterRemoved, .retireRenamed, .retirePartlyRemoved, .retireRemoved,
                    .canaryEnded,
                ]),
        ]

        static func canary(_ site: Site, share: String = "50%", time: String = "1h") throws -> Site.Result {
            try site.ctl("upgrade", "xdp:edge0", "dos", "--to", "1.1", "--canary", share, "--for", time, "--no-wait")
        }

        @Test func noStepIsLeftOut() {
            let tried = Set(
                Self.actions.flatMap(\.points) + StateCrashTests.points + LiveEndureTests.points
                    + SocketCrashTests.points)
            #expect(Set(FaultPoint.allCases).subtracting(tried).isEmpty)
        }

        @Test(arguments: actions)
        func everyStepOf(_ action: Action) async throws {
            // A veth throws away what is queued when it loses its XDP program: that is to be little.
            try await atOnce(action.points, action.new == nil ? 1 : 3) { point in
                try await Lab.run { lab in try Self.crash(action, at: point, in: lab) }
            }
        }

        static func crash(_ action: Action, at point: FaultPoint, in lab: Lab) throws {
            let site = try Site(lab, plugins: ["volumetric-dos-1_0", "volumetric-dos-1_1"])
            // gc has something to do only where fewer are kept than before.
            try site.start(keep: action.name == "gc" ? 5 : 3)
            try action.prepare(site)
            site.killDaemon()
            // A stream that no generation drops goes through all of it; not one packet of it may be missing.
            let receiver = try SequenceReceiver(lab: lab, on: Site.edge, port: 9)
            let stream = try SequenceSender(lab: lab, netns: "client", to: Site.edge, port: 9, rate: 2000)
            try site.start(fault: point.rawValue, keep: action.name == "gc" ? 2 : 3)
            _ = try action.act(site)
            let status = try site.daemon!.wait(timeout: .seconds(10))
            #expect(status == .signaled(9), "\(action.name): the step \(point) was not reached")

            let between = try dropped(site)
            #expect(
                between == action.old || between == action.new,
                "\(action.name), killed after \(point): drops \(String(describing: between))")
            try site.start(keep: action.name == "gc" ? 2 : 3)
            let after = try dropped(site)
            #expect(after == action.old || after == action.new, "\(action.name), started again after \(point)")
            try settled(site, "\(action.name), started again after \(point)")
            if ["replace", "restore"].contains(action.name) {
                #expect(try site.hasForeign() == (after == nil), "\(action.name), started again after \(point)")
            }

            let report = try receiver.report(sent: stream.stop())
            #expect(report.isPerfect && report.sent > 0, "\(action.name), killed after \(point): \(report)")

            // And the change still goes through.
            let again = try action.act(site)
            #expect(again.succeeded || after == action.new, "\(action.name) again after \(point): \(again.errors)")
            #expect(try dropped(site) == action.new || action.name == "rollback")
            try settled(site, "\(action.name) again after \(point)")
        }

        /// Which of the ports in play the hook drops; nil when it has no chain.
        static func dropped(_ site: Site) throws -> UInt16? {
            guard FileManager.default.fileExists(atPath: "\(site.hookFolder)/link") else { return nil }
            return try (4...8).first { try site.verdict(port: $0) == .drop }
        }

        /// Nothing half done is anywhere: bpffs, database, artifacts agree.
        static func settled(_ site: Site, _ when: String, hook: String = "xdp:edge0", folder: String? = nil) throws {
            let folder = folder ?? site.hookFolder
            let pins = try site.pins()
            let names = pins.map { $0.dropFirst(folder.count + 1) }.filter { !$0.contains("/") }
            #expect(!names.contains { $0.hasPrefix("t") || $0.hasPrefix("d") }, "\(when): \(names)")
            let query = "SELECT number || ':' || state FROM generation WHERE state <> 'retired' ORDER BY number"
            let rows = try site.lab.check(["sqlite3", "\(site.state)/sluice.db", query]).split(separator: "\n")
            #expect(!rows.contains { $0.hasSuffix("building") }, "\(when): \(rows)")
            let numbers = names.filter { $0.hasPrefix("g") }.compactMap { Int($0.dropFirst()) }.sorted()
            #expect(
                rows.compactMap { Int($0.prefix { $0 != ":" }) } == numbers,
                "\(when): \(rows) in the database, \(numbers) in the kernel")
            let artifacts = try FileManager.default.contentsOfDirectory(atPath: "\(site.state)/artifacts")
            let used = Set(
                try history(site, hook).filter { $0.state != .retired }.flatMap { $0.stages.map(\.artifact) })
            #expect(Set(artifacts) == used, "\(when): artifacts")
            let doctor = try site.ctl("doctor")
            #expect(doctor.succeeded, "\(when): \(doctor.output)")
        }

        private static func history(_ site: Site, _ hook: String) throws -> [GenerationRecord] {
            let result = try site.ctl("history", hook, "--output", "json")
            return result.succeeded ? try site.decode(result.output) : []
        }
    }
}
