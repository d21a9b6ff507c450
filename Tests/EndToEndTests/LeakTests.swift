// SPDX-License-Identifier: Apache-2.0

import Foundation
import StageTesting
import Testing

extension EndToEnd {
    @Suite struct LeakTests {
        @Test func changesLeaveNoDescriptorOpen() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start(keep: 3)
                for port in 1...4 { try Self.churn(site, port) }
                let before = try Self.descriptors(of: site)
                for port in 5...20 { try Self.churn(site, port) }
                #expect(try Self.descriptors(of: site) <= before)
                #expect(try Self.bpf(of: site) == 0, "the daemon works by pins: it keeps no program, map or link open")
            }
        }

        private static func churn(_ site: Site, _ port: Int) throws {
            try site.apply(Site.dropping(port: port))
            _ = try site.ctl("apply", "-f", "-", input: Site.noops(33))
            _ = try site.ctl("rollback", "xdp:edge0")
            try site.must("stats", "xdp:edge0")
            try site.must("status")
        }

        private static func descriptors(of site: Site) throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/\(site.daemon!.pid)/fd").count
        }

        private static func bpf(of site: Site) throws -> Int {
            let folder = "/proc/\(site.daemon!.pid)/fd"
            return try FileManager.default.contentsOfDirectory(atPath: folder).filter { number in
                let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(number)")
                return target?.hasPrefix("anon_inode:bpf") == true
            }.count
        }
    }
}
