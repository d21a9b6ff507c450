// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import SluiceAPI
import SluiceCore
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    /// What is lost or damaged while the daemon does not run, and what it makes of that.
    @Suite struct RecoveryTests {
        static let bringingBack: [FaultPoint] = [
            .rootFolderMade, .entryPinned, .rootPinned, .buildFolderMade, .chainPinned, .stagePinned, .metaPinned,
            .generationRenamed, .linkAttached, .linkPinned,
        ]

        @Test(arguments: bringingBack)
        func aChainComesBackThoughTheDaemonIsKilledWhileItBuildsIt(_ point: FaultPoint) async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 7))
                site.killDaemon()
                try Self.loseKernel(site)
                try site.start(fault: point.rawValue)
                #expect(try site.daemon!.wait(timeout: .seconds(10)) == .signaled(9))
                try site.start()
                #expect(try site.status().state == .live)
                #expect(try site.verdict(port: 7) == .drop)
                #expect(try site.must("doctor").contains("generation 1 is live"))
            }
        }

        @Test func afterABootStatusSaysHowLongNothingWasFiltered() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 7))
                site.killDaemon()
                try Self.loseKernel(site)
                // In the same boot somebody's hand has been at work, and nobody knows when.
                try site.start()
                #expect(try site.status().gap == nil)
                site.killDaemon()
                try Self.loseKernel(site)
                try lab.check(["sqlite3", "\(site.state)/sluice.db", "UPDATE boot SET id = 'an earlier one'"])
                try site.start()
                let gap = try #require(try site.status().gap)
                #expect(gap.since == .boot)
                #expect(gap.milliseconds > 0)
                #expect(try #require(try site.events().last).message.contains("\(gap)"))
                // It is told as long as the machine runs.
                site.killDaemon()
                try site.start()
                #expect(try site.status().gap == gap)
            }
        }

        @Test func aDetachThatWasKilledAtItsEndIsFinished() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 7))
                site.killDaemon()
                try site.start(fault: FaultPoint.hookPartlyRemoved.rawValue)
                _ = try site.ctl("detach", "xdp:edge0")
                #expect(try site.daemon!.wait(timeout: .seconds(10)) == .signaled(9))
                try Self.loseKernel(site)
                try site.start()
                #expect(try site.history().map(\.state) == [.retired])
                #expect(try FileManager.default.contentsOfDirectory(atPath: "\(site.state)/artifacts").isEmpty)
            }
        }

        @Test func aLostDatabaseLosesNoArtifactsAndTheChainCanBeTakenDown() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 7))
                site.killDaemon()
                let artifacts = try FileManager.default.contentsOfDirectory(atPath: "\(site.state)/artifacts")
                for end in ["", "-wal", "-shm"] {
                    try? FileManager.default.removeItem(atPath: "\(site.state)/sluice.db\(end)")
                }
                try site.start()
                #expect(try site.verdict(port: 7) == .drop)
                // Who restores the database finds all that it speaks of.
                #expect(try FileManager.default.contentsOfDirectory(atPath: "\(site.state)/artifacts") == artifacts)
                let refused = try site.ctl("apply", "-f", "-", input: Site.dropping(port: 8))
                #expect(refused.errors.contains("detach the hook and apply again"))
                try site.must("detach", "xdp:edge0")
                #expect(try site.pins().isEmpty)
                try site.apply(Site.dropping(port: 8))
                #expect(try site.verdict(port: 8) == .drop)
            }
        }

        @Test func anAttachedRootThatSomebodyUnpinnedGoesOn() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 7))
                try lab.check(["rm", "\(site.hookFolder)/root"])
                try site.apply(Site.dropping(port: 8))
                #expect(try site.status().state == .live)
                #expect(try site.passes(port: 7))
                #expect(try !site.passes(port: 8))
            }
        }

        @Test func aRollbackThatCannotBeRecordedIsDoneAllTheSame() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                for port in [7, 8] { try site.apply(Site.dropping(port: port)) }
                // Stands for a full disk.
                let trigger = "CREATE TRIGGER full BEFORE UPDATE ON generation BEGIN SELECT RAISE(ABORT, 'full'); END"
                try lab.check(["sqlite3", "\(site.state)/sluice.db", trigger])
                #expect(try site.must("rollback", "xdp:edge0").contains("generation 1 is live again"))
                #expect(try site.verdict(port: 7) == .drop)
                try lab.check(["sqlite3", "\(site.state)/sluice.db", "DROP TRIGGER full"])
                site.killDaemon()
                try site.start()
                #expect(try site.history().map(\.state) == [.kept, .live])
            }
        }

        @Test func aPluginInstalledByLinksIsKeptAsFiles() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                let folder = "\(site.plugins)/volumetric-dos/1.0"
                try lab.check(["mv", folder, "\(lab.directory)/elsewhere"])
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                try lab.check(["ln", "-s", "\(lab.directory)/elsewhere/volumetric-dos", folder])
                try lab.check(["sh", "-c", "cp \(lab.directory)/elsewhere/*.bpf.o \(folder)"])
                try site.start()
                try site.apply(Site.dropping(port: 7))
                #expect(try lab.check(["find", "\(site.state)/artifacts", "-type", "l"]).isEmpty)
                #expect(
                    try lab.check(["find", "\(site.state)/artifacts", "-name", "volumetric-dos", "-type", "f"]) != "")
            }
        }

        @Test func aNamespaceThatIsNoneIsRefusedAtOnce() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                let pipe = "\(lab.directory)/pipe"
                #expect(mkfifo(pipe, 0o600) == 0)
                for path in [pipe, "/dev/null", "/etc/hostname"] {
                    let plan = try site.ctl(
                        "plan", "-f", "-", input: Site.noops(1, hook: "xdp:edge0", extra: "    netns: \(path)\n"))
                    #expect(plan.status == .exited(1))
                    #expect(plan.errors.contains("is not a network namespace"), "\(plan.errors)")
                }
                #expect(try site.ctl("version").succeeded)
            }
        }

        @Test func theRecordsAreNobodyElsesBusiness() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 7))
                for name in try FileManager.default.contentsOfDirectory(atPath: site.state)
                where name.hasPrefix("sluice.db") {
                    let mode =
                        try FileManager.default.attributesOfItem(atPath: "\(site.state)/\(name)")[.posixPermissions]
                        as? Int
                    #expect(mode == 0o600, "\(name)")
                }
            }
        }

        /// As a reboot does it: pins and links are gone.
        static func loseKernel(_ site: Site, interface: String = "edge0") throws {
            try site.lab.check(["find", site.bpffs, "-type", "f", "-delete"])
            try site.lab.check(["find", site.bpffs, "-mindepth", "1", "-type", "d", "-delete"])
            try site.lab.until("the link is gone") {
                try !site.lab.check(["ip", "link", "show", interface]).contains("xdp")
            }
        }
    }
}
