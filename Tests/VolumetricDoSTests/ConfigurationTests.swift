// SPDX-License-Identifier: Apache-2.0

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
                { "protocol": "47", "length": "-99" } ] }
            """
        let expected = Configuration(
            allow: [try IPPrefix("198.51.100.0/24"), try IPPrefix("2001:db8:1::/48"), try IPPrefix("192.0.2.7/32")],
            limit: Limit(packetsPerSecond: 1000, burst: 2000), dryRun: true, malformed: .pass,
            rules: [
                Rule(name: "ntp", protocol: .udp, sourcePort: NumberRange(123, 123), length: NumberRange(468, 65575)),
                Rule(
                    source: try IPPrefix("203.0.113.0/24"), tcpFlags: FlagsMatch(set: .syn, unset: .ack), dryRun: true),
                Rule(
                    destination: try IPPrefix("2001:db8::/32"), protocol: .sctp,
                    destinationPort: NumberRange(1000, 2000)),
                Rule(protocol: IPProtocol(47), length: NumberRange(0, 99)),
            ])
        #expect(try configuration(text) == expected)
        #expect(try JSON(encoding: expected).decode(Configuration.self) == expected)
    }

    @Test func needsNothing() throws {
        let plan = try configuration("{}").plan()
        #expect(plan.constants["rule_blocks"] == .integer(0))
        #expect(plan.constants["limit_interval"] == nil)
        #expect(plan.counters.map(\.name) == ["reasons"])
        #expect(plan.summary == ["drop malformed packets"])
    }

    @Test func version1_1HasPrefixLimits() throws {
        let text = #"{ "dry-run": true, "prefix-limit": { "packets-per-second": 10, "v4": 20 } }"#
        let newer = try JSON(parsing: Array(text.utf8)).decode(Configuration1_1.self)
        let limit = PrefixLimit(Limit(packetsPerSecond: 10, burst: 10), v4: 20, v6: 48)
        #expect(newer == Configuration1_1(Configuration(dryRun: true), prefixLimit: limit))
        #expect(try JSON(encoding: newer).decode(Configuration1_1.self) == newer)
        let plan = try newer.plan()
        #expect(plan.constants["prefix_limit_interval"] == .unsigned(100_000_000))
        #expect(
            plan.constants["prefix_mask_v4"] == .bytes(try #require(Bytes(hex: "fffffffffffffffffffffffffffff000"))))
        #expect(
            plan.constants["prefix_mask_v6"] == .bytes(try #require(Bytes(hex: "ffffffffffff00000000000000000000"))))
        #expect(throws: StageError.self) { try configuration(text) }
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
        (#"{"limit": {"burst": 1}}"#, "limit.packets-per-second: required, but missing (an integer)"),
        (#"{"limit": {"packets-per-second": 0}}"#, "limit.packets-per-second: 0: expected 1 to 10000000"),
        (
            #"{"limit": {"packets-per-second": 1, "burst": 10000001}}"#,
            "limit.burst: 10000001: expected 1 to 10000000"
        ),
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
            #"rules[0].length: "-": expected a length of 0 to 65575, or a range such as 1000-2000 or 1000-"#
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
        (#"{"rules": [{"name": "", "protocol": 1}]}"#, "rules[0].name: a name has 1 to 64 bytes"),
        (#"{"malformed": "maybe"}"#, #"malformed: the string "maybe" is not one of "drop", "pass""#),
    ]

    @Test(arguments: mistakes)
    func namesTheMistake(text: String, message: String) {
        let error = #expect(throws: StageError.self) { try configuration(text).plan() }
        #expect(error?.description == message)
    }

    @Test func hasAtMost1024Rules() throws {
        let rules = [Rule](repeating: Rule(protocol: .udp), count: 1025)
        let error = #expect(throws: StageError.self) { try Configuration(rules: rules).plan() }
        #expect(error?.description == "rules: has 1025 rules; at most 1024 are possible")
    }

    @Test func planSurvivesTheProtocol() throws {
        var random = SeededGenerator(seed: 7)
        let plan = try random.configuration().plan()
        #expect(try JSON(parsing: try JSON(encoding: plan).serialized()).decode(StagePlan.self) == plan)
    }
}
