// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import StageTesting
import Testing

extension EndToEnd {
    /// What somebody asks who wants to know what was done, and what could be.
    @Suite struct InquiryTests {
        @Test func historySaysWhoDidWhatHowItEndedAndWhatDiffers() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                for port in [7, 8, 9] { try site.apply(Site.dropping(port: port)) }
                let broken = try site.ctl("apply", "-f", "-", "-m", "hurry", input: Site.dropping(port: 99_999))
                #expect(!broken.succeeded)
                try site.must("rollback", "xdp:edge0", "--to", "1", "-m", "back")
                let text = try site.must("history", "xdp:edge0")
                #expect(text.contains("root (uid 0, sluicectl apply -f -)"))
                #expect(text.contains("root (uid 0, sluicectl rollback xdp:edge0 --to 1 -m back)"))
                #expect(text.contains("generation 3 -> 1; message: back"))
                // What failed left no generation, but is told.
                #expect(try site.history().count == 3)
                #expect(text.contains("failed") && text.contains("destination-port"), "\(text)")

                #expect(
                    try site.must("history", "xdp:edge0", "--diff", "1", "2").contains(
                        "~ rules[0].destination-port: 7 -> 8"))
                // From a generation to the live one; and what the last move changed.
                #expect(try site.must("history", "xdp:edge0", "--diff", "2").contains(": 8 -> 7"))
                let last = try site.must("history", "xdp:edge0", "--diff")
                #expect(last.contains("generation 3 -> 1") && last.contains(": 9 -> 7"), "\(last)")
                let none = try site.ctl("history", "xdp:edge0", "--diff", "9")
                #expect(none.errors.contains("there is no record of generation 9; there are: 1, 2, 3"))
            }
        }

        @Test func probeTriesWithTheDaemonsOwnRights() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try site.start()
                let report: ProbeReport = try site.decode(site.must("probe", "-o", "json"))
                #expect(report.ready)
                let items = Dictionary(uniqueKeysWithValues: report.items.map { ("\($0.group) \($0.name)", $0) })
                for name in ["hook xdp", "hook cgroup-skb egress", "map lpm_trie", "feature test run", "machine bpffs"]
                {
                    #expect(items[name]?.supported == true, "\(items[name] as Any)")
                }
                #expect(report.items.filter { !$0.supported }.allSatisfy { $0.remedy != nil && !$0.reason.isEmpty })
                // What was tried has left nothing behind.
                #expect(try site.pins().isEmpty)

                // Without the right to administer networks no XDP program loads, whatever root may do.
                site.killDaemon()
                try site.start(prefix: ["setpriv", "--bounding-set=-net_admin,-sys_admin", "--inh-caps=-all"])
                let poor = try site.ctl("probe")
                #expect(poor.status == .exited(1))
                #expect(poor.output.contains("the daemon lacks CAP_NET_ADMIN"), "\(poor.output)\(poor.errors)")
                #expect(poor.output.contains("needed: CAP_NET_ADMIN, xdp"), "\(poor.output)")
            }
        }
    }
}
