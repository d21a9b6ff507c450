// SPDX-License-Identifier: Apache-2.0

import StageKit
import TCEgress
import Testing

@Suite("Configuration")
struct ConfigurationTests {
    private func configuration(_ text: String) throws -> Configuration {
        try JSON(parsing: Array(text.utf8)).decode(Configuration.self)
    }

    private static let whole = #"""
        { "link": "ethernet", "lengths": "driver", "source-guard": ["192.0.2.0/24", "2001:db8::/48"],
          "allow": ["198.51.100.0/24"], "horizon": "500ms", "sample": 5,
          "block": [{"prefix": "203.0.113.0/24", "reason": "abuse"},
                    {"prefix": ["198.18.0.0/15", "2001:db8:bad::/48"], "reason": "not routed"}],
          "control": ["bgp", "arp", {"protocol": "udp", "port": 4789, "remote": ["192.0.2.128/25"]}],
          "classes": [
            {"name": "backup", "cgroup": ["/edge.slice/backup", "rsync.service"], "police": {"rate": "100Mbit", "burst": "1MB"}},
            {"name": "dns", "protocol": "udp", "destination-port": "53,853", "mark": ["0x10/0xf0", 7],
             "police": {"rate": "10k packets"}, "sample": "100/s"},
            {"name": "bulk", "source": "192.0.2.7", "destination": ["198.51.100.0/24", "2001:db8:1::/48"], "source-port": "1024-",
             "pace": "50 Mbit/s", "set": {"dscp": "cs1", "mark": 5, "mss": 1400}} ] }
        """#

    @Test func readsEverything() throws {
        let read = try configuration(Self.whole)
        #expect(read.sourceGuard == [try IPPrefix("192.0.2.0/24"), try IPPrefix("2001:db8::/48")])
        #expect(read.blockReasons == ["abuse", "not routed"])
        #expect(read.horizon.milliseconds == 500)
        #expect(read.classes[0].police == Police(.megabits(100), burst: 1_000_000))
        #expect(read.classes[1].police == Police(.packets(10_000), burst: 500))
        #expect(read.classes[1].conditions.marks == [Mark(0x10, mask: 0xf0), Mark(7)])
        #expect(read.classes[1].conditions.destinationPort == Ports([53...53, 853...853]))
        #expect(read.classes[2].pace == .megabits(50))
        #expect(read.classes[2].set == Rewriting(dscp: CodePoint(8), mark: Mark(5), mss: 1400))
        #expect(try JSON(encoding: read).decode(Configuration.self) == read)
    }

    @Test func saysWhatItDoes() throws {
        let plan = try configuration(Self.whole).plan()
        #expect(plan.needs == [.fq])
        #expect(plan.cgroups.map(\.cgroup) == ["/edge.slice/backup", "rsync.service"])
        #expect(plan.ring == "samples" && plan.runs == true)
        #expect(plan.counters.map(\.name) == ["reasons", "classes", "blocks"])
        #expect(
            plan.summary == [
                "drop what is not from 192.0.2.0/24, 2001:db8::/48",
                "neither block nor limit what goes to 198.51.100.0/24",
                "drop what goes to 203.0.113.0/24 (abuse)",
                "drop what goes to 198.18.0.0/15, 2001:db8:bad::/48 (not routed)",
                "never limit bgp, arp, udp port 4789 with 192.0.2.128/25",
                "class backup: cgroup /edge.slice/backup or rsync.service; count, drop what is above 100Mbit a second, "
                    + "1000000 bytes at once",
                "class dns: mark 0x10/0xf0 or 0x7, protocol udp, destination port 53,853; count, drop what is above 10k "
                    + "packets a second, 500 packets at once, sample up to 100/s",
                "class bulk: from 192.0.2.7/32, to 198.51.100.0/24 or 2001:db8:1::/48, source port 1024-65535; count, pace at "
                    + "50Mbit a second, at most 500ms late, set DSCP cs1, set mark 0x5, segments of 1400 bytes at most",
                "count packets as the device gets them",
                "sample up to 5 packets a second of the rest",
            ])
    }

    @Test func needsNothing() throws {
        let plan = try configuration("{}").plan()
        #expect(plan.needs.isEmpty && plan.cgroups.isEmpty && plan.ring == nil && plan.runs == false)
        #expect(plan.constants["words"] == .integer(0))
        #expect(plan.summary == ["count each segment with its headers"])
    }

    private static let refused: [(String, String)] = [
        (#"{"clases": []}"#, "clases"),
        (#"{"link": "wifi"}"#, "link"),
        (
            #"{"source-guard": []}"#,
            "source-guard: the list is empty, so nothing could leave; leave it out for no guard"
        ),
        (#"{"source-guard": ["10.0.0.0/33"]}"#, #"source-guard[0]: "10.0.0.0/33": a prefix length of IPv4 is 0 to 32"#),
        (#"{"allow": ["10.0.0.1/8"]}"#, "has bits set behind its length; the prefix is 10.0.0.0/8"),
        (#"{"allow": ["10.0.0.0/8", "10.0.0.0/8"]}"#, "allow[1]: 10.0.0.0/8 is there twice"),
        (#"{"block": [{"prefix": "10.0.0.0/8"}]}"#, "reason"),
        (#"{"block": [{"prefix": [], "reason": "a"}]}"#, "the list is empty; leave it out, or name one at least"),
        (
            #"{"block": [{"prefix": "10.0.0.0/8", "reason": "a"}, {"prefix": ["10.0.0.0/8"], "reason": "b"}]}"#,
            #"block[1].prefix: 10.0.0.0/8 is there already, with the reason "a""#
        ),
        (
            #"{"block": [{"prefix": "10.0.0.0/8", "reason": "\u0007"}]}"#,
            "expected 1 to 64 letters, digits, spaces and -_.:/"
        ),
        (
            #"{"control": ["https"]}"#,
            #"control[0]: "https": expected one of arp, ndp, bfd, bgp, dhcp, dns, icmp, igmp, ntp, ospf, ssh, vrrp, "#
                + "or { protocol: tcp, port: 179, remote: 192.0.2.0/24 }"
        ),
        (#"{"control": [{"protocol": "gre", "port": 1}]}"#, "control[0].port: gre has no ports"),
        (#"{"horizon": "11s"}"#, #"horizon: "11s": expected 1ms to 10s"#),
        (#"{"sample": "0/s"}"#, #"sample: "0/s": expected 1/s to 10000/s"#),
        (#"{"classes": [{}]}"#, "classes[0]"),
        (#"{"classes": [{"name": "other"}]}"#, #"classes[0].name: "other" is the name of another row"#),
        (#"{"classes": [{"name": "a"}, {"name": "a"}]}"#, #"classes[1].name: "a" is the name of another row"#),
        (
            #"{"classes": [{"name": "a", "police": {"rate": 100}}]}"#,
            #"classes[0].police.rate: "100": expected a rate such as 100Mbit, 1.5Gbit or 10k packets"#
        ),
        (#"{"classes": [{"name": "a", "police": {"rate": "1kbit"}}]}"#, #""1kbit": expected 8kbit to 400Gbit"#),
        (#"{"classes": [{"name": "a", "police": {"rate": "1G packets"}}]}"#, "expected 1 to 10000k packets"),
        (
            #"{"classes": [{"name": "a", "police": {"rate": "1Mbit", "burst": "x"}}]}"#,
            #"classes[0].police.burst: "x": expected bytes, such as 256kB or 1MB, at most what comes in 1000 seconds"#
        ),
        (
            #"{"classes": [{"name": "a", "pace": "10k packets"}]}"#,
            #"classes[0].pace: "10k packets": a pace is of bits, such as 50Mbit"#
        ),
        (
            #"{"classes": [{"name": "a", "protocol": "gre", "destination-port": 1}]}"#,
            "classes[0].protocol: gre has no ports"
        ),
        (#"{"classes": [{"name": "a", "destination-port": "5-1"}]}"#, #""5-1": the range ends before it begins"#),
        (#"{"classes": [{"name": "a", "mark": "0x11/0xf0"}]}"#, #""0x11/0xf0": has bits that its mask leaves out"#),
        (#"{"classes": [{"name": "a", "set": {"mss": 40}}]}"#, "classes[0].set.mss: 40: expected 88 to 65495 bytes"),
        (
            #"{"classes": [{"name": "a", "protocol": "udp", "set": {"mss": 1400}}]}"#,
            "classes[0].set.mss: only TCP has one, which the class leaves out"
        ),
        (
            #"{"classes": [{"name": "a", "set": {"dscp": "gold"}}]}"#,
            #""gold": expected a code point of 0 to 63, or a name such as cs1, af41, ef or be"#
        ),
        (
            #"{"classes": [{"name": "a", "cgroup": "backup"}]}"#,
            #"classes[0].cgroup: "backup": expected a path below the mount of cgroup2"#
        ),
        (
            #"{"classes": [{"name": "a", "mark": ["1/1", "1/3", "1/7", "1/15", "1/31"]}]}"#,
            "classes: has 5 different masks of marks; at most 4 are possible"
        ),
    ]

    @Test(arguments: refused)
    func saysWhatIsWrong(text: String, message: String) throws {
        let error = #expect(throws: StageError.self) { try configuration(text).plan() }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        (#"{"source-guard": ["10.0.0.0/8"]}"#, "source-guard: only possible at tc-egress"),
        (#"{"classes": [{"name": "a", "pace": "1Mbit"}]}"#, "classes[0].pace: only possible at tc-egress"),
        (#"{"classes": [{"name": "a", "cgroup": "/a"}]}"#, "classes[0].cgroup: only possible at tc-egress"),
    ])
    func refusesAtIngress(text: String, message: String) throws {
        let context = PlanContext(hook: "tc-ingress:eth0", stage: "egress")
        let error = #expect(throws: StageError.self) { try configuration(text).plan(in: context) }
        #expect(error?.description == message)
    }

    @Test func refusesTooMuch() throws {
        var many = Configuration()
        many.classes = (0...192).map { TrafficClass("c\($0)") }
        #expect(throws: StageError("has 193 classes; at most 192 are possible", at: "classes")) { try many.plan() }
        var rules = Configuration()
        rules.control = (0...32).map { .custom(protocol: .udp, port: Ports($0), remote: []) }
        let error = #expect(throws: StageError.self) { try rules.plan() }
        #expect(error?.description.hasPrefix("control: takes 66 rules") == true)
    }
}
