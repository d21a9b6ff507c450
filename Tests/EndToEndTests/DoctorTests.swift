// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    /// One thing is broken at a time: it is found, told in words, and mended or left alone as it should be.
    @Suite struct DoctorTests {
        private static func doctor(_ site: Site, repair: Bool = false) throws -> DoctorReport {
            let result =
                try repair ? site.ctl("doctor", "--repair", "-o", "json") : site.ctl("doctor", "-o", "json")
            return try site.decode(result.output)
        }

        /// Expects one thing to be found, and nothing else to be wrong; then that a repair mends it.
        private static func expect(_ message: String, isMendedAt site: Site, saying done: String) throws {
            let found = try doctor(site).findings.filter { $0.level != .ok }
            #expect(found.contains { $0.message.contains(message) && $0.repairable }, "\(message): \(found)")
            let report = try doctor(site, repair: true)
            let repaired = report.findings.first { $0.message.contains(message) }?.repaired
            #expect(repaired?.contains(done) == true, "\(message): \(report.findings)")
            #expect(report.healthy, "\(message): \(report.findings)")
            let after = try doctor(site).findings.filter { $0.level != .ok }
            #expect(after.isEmpty, "\(message): \(after)")
            #expect(try site.events().last { $0.action == "repair" }?.author.contains("doctor --repair") == true)
        }

        private static func expect(_ message: String, isLeftAloneAt site: Site, remedy: String) throws {
            let report = try doctor(site, repair: true)
            let finding = report.findings.first { $0.message.contains(message) }
            #expect(finding != nil && finding?.repaired == nil, "\(message): \(report.findings)")
            #expect(finding?.remedy?.contains(remedy) == true, "\(finding as Any)")
        }

        private static func sql(_ site: Site, _ statement: String) throws {
            try site.lab.check(["sqlite3", "\(site.state)/sluice.db", statement])
        }

        @Test func whatMayBeMendedIsMended() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                for port in [7, 8, 9] { try site.apply(Site.dropping(port: port)) }
                #expect(try Self.doctor(site).findings.allSatisfy { $0.level == .ok })
                let artifacts = "\(site.state)/artifacts"
                let artifact = try #require(try FileManager.default.contentsOfDirectory(atPath: artifacts).first)
                let object = "\(artifacts)/\(artifact)/volumetric_dos.bpf.o"

                // Of the artifacts.
                try lab.check([
                    "sh", "-c", "stamp=$(stat -c %y \(object)); printf x >> \(object); touch -d \"$stamp\" \(object)",
                ])
                try Self.expect("is damaged (its contents have changed)", isMendedAt: site, saying: "copied artifact")
                try lab.check(["rm", "-r", "\(artifacts)/\(artifact)"])
                try Self.expect(
                    "is missing, which stage \"dos\" of xdp:edge0", isMendedAt: site, saying: "copied artifact")
                try lab.check(["mkdir", "\(artifacts)/0123456789abcdef"])
                try Self.expect("no generation needs: 0123456789ab", isMendedAt: site, saying: "removed artifact")

                // Of the pins against the records.
                try lab.check(["rm", "-r", "\(site.hookFolder)/g1"])
                try Self.expect("generation 1", isMendedAt: site, saying: "generation 1")
                #expect(try site.history().map(\.state) == [.live, .kept, .retired])
                try Self.sql(site, "DELETE FROM generation WHERE number = 2")
                try Self.expect(
                    "generation 2 is pinned, but the database has no record", isMendedAt: site,
                    saying: "unpinned generation 2")
                try lab.check(["mkdir", "\(site.hookFolder)/t9"])
                try Self.expect("half-done generations: t9", isMendedAt: site, saying: "discarded generation 9")
                try Self.sql(
                    site,
                    "INSERT INTO generation (hook, number, state, created, author, message, changes, resolved) "
                        + "SELECT hook, 8, 'building', created, author, message, changes, resolved FROM generation "
                        + "WHERE number = 3")
                try Self.expect(
                    "generation 8 is recorded as being built", isMendedAt: site, saying: "discarded generation 8")
                try lab.check(["mkdir", "-p", "\(site.hookFolder)/state/gone"])
                try lab.check([
                    "bpftool", "map", "create", "\(site.hookFolder)/state/gone/old_0123", "type", "array", "key", "4",
                    "value", "4", "entries", "1", "name", "old",
                ])
                try Self.expect(
                    "state that no generation uses: state/gone/old_0123", isMendedAt: site, saying: "removed")

                // All that while the chain has done its work.
                #expect(try site.verdict(port: 9) == .drop)
                #expect(try site.status().live == 3)
            }
        }

        @Test func whatPacketsWouldNoticeIsLeftToTheOperator() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                for port in [7, 8] { try site.apply(Site.dropping(port: port)) }
                let artifacts = "\(site.state)/artifacts"
                let artifact = try #require(try FileManager.default.contentsOfDirectory(atPath: artifacts).first)
                let plugin = "\(site.plugins)/volumetric-dos/1.0"

                // The artifact has gone, and so has the plugin that it was copied from.
                try lab.check(["sh", "-c", "mv \(artifacts)/\(artifact) \(plugin) \(lab.directory)"])
                try Self.expect(
                    "after a reboot the chain could not be built again", isLeftAloneAt: site,
                    remedy: "install the very same build of the plugin")
                try lab.check(["sh", "-c", "mv \(lab.directory)/1.0 \(plugin)"])
                try Self.expect("is missing", isMendedAt: site, saying: "copied artifact")

                // Strangers stay.
                for folder in [site.bpffs, site.hookFolder] {
                    try lab.check([
                        "bpftool", "map", "create", "\(folder)/stranger", "type", "array", "key", "4", "value", "4",
                        "entries", "1", "name", "stranger",
                    ])
                    try Self.expect("\"stranger\"", isLeftAloneAt: site, remedy: "remove it, if it is yours")
                    #expect(try site.pins().contains("\(folder)/stranger"))
                    try lab.check(["rm", "\(folder)/stranger"])
                }

                // The database is another one's.
                try Self.sql(
                    site, "UPDATE generation SET resolved = replace(resolved, '\(artifact)', 'feed') WHERE number = 1")
                try Self.expect(
                    "generation 1 is pinned as [dos (volumetric-dos 1.0,", isLeftAloneAt: site, remedy: "restore")
                try Self.sql(
                    site, "UPDATE generation SET resolved = replace(resolved, 'feed', '\(artifact)') WHERE number = 1")
                try Self.sql(site, "UPDATE chain SET wanted = 0")
                try Self.expect(
                    "recorded as detached, but it is attached", isLeftAloneAt: site, remedy: "sluicectl detach")
                try Self.sql(site, "UPDATE chain SET wanted = 1")
                try Self.sql(site, "DELETE FROM generation WHERE number = 2")
                try Self.expect(
                    "generation 2 is live, but the database has no record of it", isLeftAloneAt: site, remedy: "restore"
                )
                #expect(try site.verdict(port: 8) == .drop)
            }
        }
    }
}
