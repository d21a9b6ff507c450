// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    @Suite struct PrivilegeTests {
        /// A rollback is one slot write through a pin: it works when everything else is gone.
        @Test func rollbackNeedsNeitherPluginNorCapability() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                try site.apply(Site.dropping(port: 7))
                try site.apply(Site.dropping(port: 8))
                site.killDaemon()
                try FileManager.default.removeItem(atPath: site.plugins)
                // CAP_SYS_ADMIN stands in for CAP_BPF in the kernel's eyes, so it goes too.
                try site.start(prefix: [
                    "setpriv", "--bounding-set", "-bpf,-sys_admin,-net_admin,-perfmon", "--inh-caps=-all",
                ])
                let status = try String(contentsOfFile: "/proc/\(site.daemon!.pid)/status", encoding: .utf8)
                let effective = status.split(separator: "\n").first { $0.hasPrefix("CapEff") }!.split(separator: "\t")[
                    1]
                let capabilities = UInt64(effective, radix: 16)!
                for bit in [12, 21, 38, 39] as [UInt64] { #expect(capabilities >> bit & 1 == 0) }
                try site.must("rollback", "xdp:edge0")
                #expect(try site.verdict(port: 7) == .drop)
                #expect(try site.verdict(port: 8) == .pass)
                #expect(try site.status().live == 1)
            }
        }

        /// What the unit gives the daemon is enough to load and run a merge program.
        @Test func stateIsMergedWithTheUnitsCapabilities() async throws {
            try await Lab.run { lab in
                let tallies = try Tallies(lab, versions: ["1.0", "2.0"])
                let site = tallies.site
                try site.start(prefix: [
                    "setpriv", "--bounding-set", "-all,+bpf,+net_admin,+perfmon,+setuid,+setgid,+setpcap,+kill",
                    "--inh-caps=-all",
                ])
                try site.apply(Tallies.spec("1.0"))
                try tallies.flood(sources: 10, count: 100).wait()
                try tallies.settle(100)
                #expect(try site.must("upgrade", Tallies.hook, "tally", "--to", "2.0").contains("merged 10 entries"))
                #expect(try tallies.counts(of: 2).sum == 100)
            }
        }

        @Test func aSecondManagerIsKeptOff() async throws {
            try await Lab.run { lab in
                let site = try Site(lab, plugins: ["noop"])
                try site.start()
                let second = try lab.spawn([
                    BuildProducts.path("sluiced"), "--socket", "\(lab.directory)/other.sock", "--bpffs", site.bpffs,
                    "--state",
                    "\(lab.directory)/other", "--plugins", site.plugins,
                ])
                #expect(try second.wait() == .exited(1))
                #expect(second.errors.contains("is in use by another sluiced"))
            }
        }
    }
}
