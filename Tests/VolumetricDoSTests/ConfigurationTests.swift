// SPDX-License-Identifier: Apache-2.0

import PacketSamples
import StageKit
import StageTesting
import Testing
import VolumetricDoS

@Suite("Configuration")
struct ConfigurationTests {
    private func configuration(_ text: String) throws -> Configuration {
        try JSON(parsing: Array(text.utf8)).decode(Configuration.self)
    }

    @Test func readsEverything() throws {
        let text = """
            { "allow": ["198.51.100.0/24", "2001:db8:1::/48", "192.0.2.7"],
              "limit": { "packets-per-second": 1000, "burst": 2000 }, "dry-run": true, "malformed": "pass",
              "rules": [
                { "name": "ntp", "protocol": "udp", "source-port": 123, "length": "468-" },
                { "source": "203.0.113.0/24", "tcp-flags": "syn, !ack", "dry-run": true },
                { "destination": "2001:db8::/32", "protocol": 132, "destination-port": "1000-2000" },
                { "protocol": "47", "length": "-99" },
                { "icmp-type": [3, "8-10"], "icmp-code": 1, "packet-ttl": "-5", "dscp": 46, "fragment": "no", "vlan": 7,
                  "inner-vlan": "8,9", "action": "pass" } ] }
            """
        var last = Rule(action: .pass)
        last.icmpType = NumberSet([NumberRange(3, 3), NumberRange(8, 10)])
        last.icmpCode = NumberSet(1, 1)
        last.ttl = NumberSet(0, 5)
        last.dscp = NumberSet(46, 46)
        last.fragment = .no
        last.vlan = NumberSet(7, 7)
        last.innerVLAN = NumberSet(8, 9)
        let expected = Configuration(
            allow: [try IPPrefix("198.51.100.0/24"), try IPPrefix("2001:db8:1::/48"), try IPPrefix("192.0.2.7/32")],
            limit: Limit(packetsPerSecond: 1000, burst: 2000), dryRun: true, malformed: .pass,
            rules: [
                Rule(name: "ntp", protocol: .udp, sourcePort: NumberSet(123, 123), length: NumberSet(468, 65535)),
                Rule(
                    source: try IPPrefix("203.0.113.0/24"), tcpFlags: FlagsMatch(set: .syn, unset: .ack), dryRun: true),
                Rule(
                    destination: try IPPrefix("2001:db8::/32"), protocol: .sctp,
                    destinationPort: NumberSet(1000, 2000)),
                Rule(protocol: IPProtocol(47), length: NumberSet(0, 99)), last,
            ])
        #expect(try configuration(text) == expected)
        #expect(try JSON(encoding: expected).decode(Configuration.self) == expected)
    }

    @Test func needsNothing() throws {
        let plan = try configuration("{}").plan()
        #expect(plan.constants["summaries"] == .integer(0))
        #expect(plan.counters.map(\.name) == ["reasons"])
        #expect(plan.summary == ["drop malformed packets"])
    }

    @Test func version1_1HasMoreLimits() throws {
        let text = #"""
            { "dry-run": true, "sample": { "packets-per-second": 50 }, "limits": [
              { "packets-per-second": 10, "per": "source-prefix", "v4": 20 },
              { "bytes-per-second": 1000000, "burst": 20000, "per": "destination", "when-full": "drop",
                "known": ["192.0.2.1", "2001:db8::1"] } ] }
            """#
        let newer = try JSON(parsing: Array(text.utf8)).decode(Configuration1_1.self)
        var first = Limit(.packets, perSecond: 10, per: .sourcePrefix)
        first.v4 = 20
        var second = Limit(.bytes, perSecond: 1_000_000, burst: 20_000, per: .destination, whenFull: .drop)
        second.known = ["192.0.2.1", "2001:db8::1"]
        #expect(
            newer
                == Configuration1_1(
                    Configuration(dryRun: true), limits: [first, second], sampling: Sampling(packetsPerSecond: 50)))
        #expect(try JSON(encoding: newer).decode(Configuration1_1.self) == newer)
        let plan = try newer.plan()
        #expect(plan.constants["sample_interval"] == .integer(20_000_000))
        #expect(plan.maps["known"]?.entries.count == 2)
        #expect(throws: StageError.self) { try configuration(text) }
    }

    @Test func rulesHaveAnEnd() throws {
        let text = #"""
            { "rules": [ { "protocol": 6, "ttl": "10m", "sample": "1%" }, { "protocol": 17, "until": "2030-02-28T23:59:59Z" },
              { "protocol": 1, "limit": { "bytes-per-second": 5000 } } ] }
            """#
        let read = try configuration(text)
        #expect(read.rules.map(\.lifetime) == [TimeSpan(seconds: 600), nil, nil])
        #expect(read.rules[1].end == Moment(seconds: 1_898_553_599))
        #expect(read.rules[2].action == .limit && read.rules[2].limit?.per == .all)
        #expect(try JSON(encoding: read).decode(Configuration.self) == read)
        let context = PlanContext(hook: "xdp:eth0", stage: "dos", time: 1_000_000, taiOffset: 37)
        let newer = Configuration1_1(read, sampling: Sampling(packetsPerSecond: 50))
        let plan = try newer.plan(in: context)
        var expected = Bytes()
        expected.append(UInt64(1_000_637) * 1_000_000_000)
        #expect(plan.maps["rule_expiries"]?.entries.map(\.value).first == expected)
        #expect(throws: StageError.self) { try read.plan(in: context) }
        let late = PlanContext(hook: "xdp:eth0", stage: "dos", time: 1_898_553_599)
        #expect(throws: StageError.self) { try newer.plan(in: late) }
    }

    static let mistakes: [(String, String)] = [
        (
            #"{"rules": [{"source": "10.0.0.0/33"}]}"#,
            #"rules[0].source: "10.0.0.0/33": a prefix length of IPv4 is 0 to 32"#
        ),
        (
            #"{"allow": ["::/0", "2001:db8::/129"]}"#,
            #"allow[1]: "2001:db8::/129": a prefix length of IPv6 is 0 to 128"#
        ),
        (
            #"{"allow": ["10.0.0.1/24"]}"#,
            #"allow[0]: "10.0.0.1/24": has bits set behind its length; the prefix is 10.0.0.0/24"#
        ),
        (
            #"{"allow": ["example.com"]}"#,
            #"allow[0]: "example.com": expected a prefix such as 203.0.113.0/24 or 2001:db8::/32"#
        ),
        (#"{"allow": ["::/0", "::/0"]}"#, "allow[1]: ::/0 is there twice"),
        (#"{"limits": {}}"#, #"limits: unknown key; did you mean "limit"?"#),
        (#"{"limit": {"burst": 1}}"#, "limit: expected either packets-per-second or bytes-per-second"),
        (#"{"limit": {"packets-per-second": 0}}"#, "limit.packets-per-second: 0: expected 1 to 10000000"),
        (
            #"{"limit": {"packets-per-second": 1, "burst": 1001}}"#,
            "limit.burst: 1001: expected 1 to 1000, which is what comes in 1000 seconds"
        ),
        (
            #"{"limit": {"bytes-per-second": 1, "v4": 8}}"#,
            "limit.v4: only source-prefix and destination-prefix have a length; the limit is per source"
        ),
        (
            #"{"limit": {"bytes-per-second": 1, "known": ["10.0.0.0/8"]}}"#,
            #"limit.known[0]: "10.0.0.0/8": expected an IPv4 or IPv6 address"#
        ),
        (#"{"buckets": 1000}"#, "buckets: 1000: expected a power of two of 64 to 16777216"),
        (
            #"{"rules": [{"source-port": "70000"}]}"#,
            #"rules[0].source-port: "70000": expected a port of 0 to 65535, or a range such as 1000-2000 or 1000-"#
        ),
        (
            #"{"rules": [{"destination-port": "5-4"}]}"#,
            #"rules[0].destination-port: "5-4": the range ends before it begins"#
        ),
        (
            #"{"rules": [{"length": "-"}]}"#,
            #"rules[0].length: "-": expected a length of 0 to 65535, or a range such as 1000-2000 or 1000-"#
        ),
        (
            #"{"rules": [{"tcp-flags": "syn,"}]}"#,
            #"rules[0].tcp-flags: "syn,": expected flags such as "syn,!ack", of fin, syn, rst, psh, ack, urg, ece, cwr"#
        ),
        (
            #"{"rules": [{"tcp-flags": "syn,!syn"}]}"#,
            #"rules[0].tcp-flags: "syn,!syn": a flag cannot be both set and not set"#
        ),
        (
            #"{"rules": [{"protocol": "udp"}, {"protocol": "icmp", "source-port": 3}]}"#,
            "rules[1].source-port: icmp has no ports; tcp, udp, udplite and sctp do"
        ),
        (
            #"{"rules": [{"protocol": "udp", "tcp-flags": "syn"}]}"#,
            "rules[0].tcp-flags: udp has no TCP flags; leave the protocol out, or make it tcp"
        ),
        (
            #"{"rules": [{"protocol": "icmp", "source": "::/0"}]}"#,
            "rules[0].protocol: IPv6 has no icmp; expected icmpv6"
        ),
        (
            #"{"rules": [{"source": "10.0.0.0/8", "destination": "::/0"}]}"#,
            "rules[0].destination: ::/0 is of another family than the rule's source, 10.0.0.0/8"
        ),
        (
            #"{"rules": [{"dry-run": true}]}"#,
            "rules[0]: has no condition and would drop every packet; "
                + "if that is meant, write source: 0.0.0.0/0 and another with ::/0"
        ),
        (
            #"{"rules": [{"name": "a", "protocol": 1}, {"name": "a", "protocol": 2}]}"#,
            #"rules[1].name: "a" is another rule's name"#
        ),
        (
            #"{"rules": [{"name": "rules[1]", "protocol": 1}, {"protocol": 2}]}"#,
            #"rules[1].name: "rules[1]" is another rule's name"#
        ),
        (#"{"rules": [{"name": "", "protocol": 1}]}"#, "rules[0].name: a name has 1 to 63 bytes"),
        (
            #"{"rules": [{"icmp-type": 8, "destination-port": 1}]}"#,
            "rules[0].icmp-type: no packet has both ports or TCP flags and an ICMP header"
        ),
        (
            #"{"rules": [{"protocol": "udp", "icmp-code": 1}]}"#,
            "rules[0].icmp-code: udp has no types and codes; icmp and icmpv6 do"
        ),
        (
            #"{"rules": [{"fragment": "later", "source-port": 53}]}"#,
            "rules[0].source-port: later fragments have no ports, flags, types and codes to see"
        ),
        (
            #"{"rules": [{"payload": {"offset": 0, "bytes": "12", "mask": "0f"}}]}"#,
            "rules[0].payload.bytes: has bits set that the mask leaves out"
        ),
        (
            #"{"rules": [{"payload": {"offset": 0, "bytes": "12", "mask": "0fff"}}]}"#,
            "rules[0].payload.mask: has 2 bytes; expected 1, as bytes has"
        ),
        (
            #"{"rules": [{"fragment": "later", "payload": {"offset": 0, "bytes": "12"}}]}"#,
            "rules[0].payload: where a later fragment's payload begins nobody can see"
        ),
        (
            #"{"rules": [{"packet-ttl": "1,256"}]}"#,
            #"rules[0].packet-ttl: "256": expected a number of 0 to 255, or a range such as 1000-2000 or 1000-"#
        ),
        (
            #"{"rules": [{"protocol": 6, "action": "limit"}]}"#,
            "rules[0].limit: the action limit needs one"
        ),
        (
            #"{"rules": [{"protocol": 6, "action": "pass", "limit": {"packets-per-second": 1}}]}"#,
            "rules[0].limit: only the action limit has one; this rule's is pass"
        ),
        (
            #"{"rules": [{"protocol": 6, "ttl": "-5m"}]}"#,
            #"rules[0].ttl: "-5m": expected a time such as 30s, 10m, 2h or 1d, of a year at most"#
        ),
        (
            #"{"rules": [{"protocol": 6, "until": "2030-02-29T00:00:00Z"}]}"#,
            #"rules[0].until: "2030-02-29T00:00:00Z": expected a moment in UTC such as 2030-01-31T18:00:00Z"#
        ),
        (
            #"{"rules": [{"protocol": 6, "sample": "120%"}]}"#,
            #"rules[0].sample: "120%": expected a share such as 1% or 0.01, above 0 and at most 100%"#
        ),
        (#"{"malformed": "maybe"}"#, #"malformed: the string "maybe" is not one of "drop", "pass""#),
    ]

    @Test(arguments: mistakes)
    func namesTheMistake(text: String, message: String) {
        let error = #expect(throws: StageError.self) { try configuration(text).plan() }
        #expect(error?.description == message)
    }

    @Test func hasAtMostSoManyRules() throws {
        let rules = [Rule](repeating: Rule(protocol: .udp), count: 10_241)
        let error = #expect(throws: StageError.self) { try Configuration(rules: rules).plan() }
        #expect(error?.description == "rules: has 10241 rules; at most 10240 are possible")
    }

    @Test func warnsOfRulesThatAreNeverReached() throws {
        let text = """
            { "rules": [
                { "name": "trial", "source": "10.0.0.0/8", "dry-run": true },
                { "name": "counter", "source": "10.0.0.0/8", "action": "count" },
                { "source": "10.1.0.0/16", "destination-port": "10-20,30" },
                { "name": "wide", "source": "10.1.0.0/16", "destination-port": "5-40", "action": "pass" },
                { "name": "narrow", "source": "10.1.2.0/24", "destination-port": "5,30-40", "length": 100 },
                { "name": "beside", "source": "10.1.2.0/24", "destination-port": "5,41" },
                { "name": "echo", "icmp-type": "8", "icmp-code": 0 }, { "name": "ping", "icmp-type": 8 },
                { "name": "echo-again", "protocol": "icmp", "icmp-type": 8, "icmp-code": 1 } ] }
            """
        let warnings = try configuration(text).plan().summary.filter { $0.hasPrefix("warning") }
        #expect(
            warnings == [
                "warning: narrow is never reached, as wide takes all of its packets",
                "warning: echo-again is never reached, as ping takes all of its packets",
            ])
    }

    @Test func planSurvivesTheProtocol() throws {
        var random = SeededGenerator(seed: 7)
        let plan = try random.configuration().plan()
        #expect(try JSON(parsing: try JSON(encoding: plan).serialized()).decode(StagePlan.self) == plan)
    }
}
