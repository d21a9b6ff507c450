// SPDX-License-Identifier: Apache-2.0

import StageKit
import Testing

@testable import CgroupPolicy

@Suite struct ConfigurationTests {
    private static func rules(_ rule: JSON, _ part: String = "connect") -> JSON {
        ["mode": "audit", .init(part): ["default": "allow", "rules": [rule]]]
    }

    static let wrong: [(JSON, String)] = [
        ([:], "mode: required, but missing"),
        (["mode": "warn"], "mode: "),
        (["mode": "audit", "conect": ["default": "deny"]], "conect: unknown key"),
        (["mode": "audit", "connect": [:]], "connect.default: required, but missing"),
        (
            ["mode": "audit", "connect": ["default": "deny", "rules": [["to": "10.0.0.1/8", "action": "deny"]]]],
            "connect.rules[0].to: \"10.0.0.1/8\": has bits set behind its length; the prefix is 10.0.0.0/8"
        ),
        (
            [
                "mode": "audit",
                "connect": ["default": "deny", "rules": [["to": "::ffff:10.0.0.0/104", "action": "deny"]]],
            ],
            "connect.rules[0].to: \"::ffff:10.0.0.0/104\" is of IPv4; write 10.0.0.0/8"
        ),
        (
            ["mode": "audit", "connect": ["default": "deny", "rules": [["to": [], "action": "deny"]]]],
            "connect.rules[0].to: expected a prefix at least; leave it out for all addresses"
        ),
        (
            ["mode": "audit", "bind": ["default": "deny", "rules": [["port": "70000", "action": "deny"]]]],
            "bind.rules[0].port: \"70000\": expected a port of 0 to 65535, a range such as 8000-8999 or 1024-, or all"
        ),
        (
            ["mode": "audit", "bind": ["default": "deny", "rules": [["port": "9-8", "action": "deny"]]]],
            "bind.rules[0].port: \"9-8\": the range ends before it begins"
        ),
        (
            ["mode": "audit", "bind": ["default": "deny", "rules": [["to": "10.0.0.0/8", "action": "deny"]]]],
            "bind.rules[0].to: unknown key"
        ),
        (
            ["mode": "audit", "connect": ["default": "deny", "rules": [["local-port": 1, "action": "deny"]]]],
            "connect.rules[0].local-port: unknown key"
        ),
        (
            [
                "mode": "audit",
                "connect": [
                    "default": "deny",
                    "rules": [["name": "a", "action": "deny"], ["name": "a", "action": "allow"]],
                ],
            ], "connect.rules[1].name: \"a\" is the name of another rule"
        ),
        (
            ["mode": "audit", "connect": ["default": "deny", "rules": [["name": "default", "action": "deny"]]]],
            "connect.rules[0].name: \"default\" is what the default is called; call the rule otherwise"
        ),
        (
            ["mode": "audit", "rewrite": [["from": "192.0.2.1:80", "to": "[::1]:80"]]],
            "rewrite[0].to: 192.0.2.1:80 and [::1]:80 are of two families; a connection has one"
        ),
        (
            ["mode": "audit", "rewrite": [["from": "192.0.2.1", "to": "127.0.0.1:80"]]],
            "rewrite[0].from: \"192.0.2.1\": expected an address and a port such as 192.0.2.1:80 or [2001:db8::1]:80"
        ),
        (
            [
                "mode": "audit",
                "rewrite": [
                    ["from": "192.0.2.1:80", "to": "127.0.0.1:80"],
                    ["from": "192.0.2.1:80", "to": "127.0.0.2:80", "protocol": "udp", "name": "b"],
                ],
            ], "rewrite[1].from: 192.0.2.1:80 (udp) is rewritten above already"
        ),
        (["mode": "audit", "sockops": ["initial-window": 0]], "sockops.initial-window: 0: expected 1 to 1024"),
        (
            ["mode": "audit", "sock-create": ["deny": ["packet"]]],
            "sock-create.deny[0]: \"packet\": the kernel asks of sockets of IPv4 and IPv6 only"
        ),
        (["mode": "audit", "sock-create": ["deny": ["raw", "raw"]]], "sock-create.deny[1]: \"raw\" is there twice"),
        (["mode": "audit", "reports-per-second": 5000], "reports-per-second: 5000: expected 0 to 1000"),
    ]

    @Test(arguments: wrong)
    func whatIsWrongIsNamed(json: JSON, message: String) {
        let error = #expect(throws: StageError.self) { try configuration(json) }
        #expect("\(error!)".contains(message), "\(error!)")
    }

    @Test func aConfigurationSurvivesBeingWritten() throws {
        let whole: JSON = [
            "mode": "enforce",
            "connect": [
                "default": "deny",
                "rules": [
                    [
                        "name": "web", "to": ["10.0.0.0/8", "2001:db8::/32"], "port": [80, "8000-8999"],
                        "protocol": "tcp",
                        "action": "allow",
                    ]
                ],
            ],
            "ingress": ["default": "allow", "rules": [["from": "192.0.2.1", "local-port": "53", "action": "deny"]]],
            "bind": ["default": "allow", "rules": [["address": "127.0.0.1", "port": "-1", "action": "deny"]]],
            "rewrite": [["from": "[2001:db8::1]:80", "to": "[::1]:8080", "protocol": "tcp"]],
            "sockops": ["initial-window": 20, "congestion": "bbr", "keepalive": ["idle": 60], "tos": 184],
            "sock-create": ["deny": ["raw", "ping"], "mark": 7],
        ]
        var fixed = whole
        if case .object(var object) = whole {
            object["bind"] = ["default": "allow", "rules": [["address": "127.0.0.1", "port": "1", "action": "deny"]]]
            fixed = .object(object)
        }
        let read = try configuration(fixed)
        #expect(try configuration(JSON(encoding: read)) == read)
        #expect(read.connect?.rules[0].ports?.description == "80,8000-8999")
        #expect(read.ingress?.rules[0].name == "rule 1")
    }

    @Test func eachHookHasItsPart() throws {
        let json: JSON = ["mode": "audit", "connect": ["default": "deny"]]
        for kind in Part.hooks {
            let plan = try plan(json, at: kind)
            let isJudged = [.cgroupConnect4, .cgroupConnect6, .cgroupSendmsg4, .cgroupSendmsg6].contains(kind)
            #expect(plan.runs == isJudged, "\(kind)")
            #expect(plan.summary.contains { $0.hasPrefix("nothing is said of") } == !isJudged, "\(kind)")
        }
        #expect(throws: StageError.self) { try plan(json, at: .xdp) }
    }

    @Test func ruleThatIsNeverAskedIsNamed() throws {
        let json: JSON = [
            "mode": "audit",
            "connect": [
                "default": "allow",
                "rules": [
                    ["name": "all", "to": "10.0.0.0/8", "action": "allow"],
                    ["name": "hidden", "to": "10.1.0.0/16", "port": 80, "action": "deny"],
                ],
            ],
        ]
        let summary = try plan(json, at: .cgroupConnect4).summary
        #expect(summary.contains { $0.contains("rule \"hidden\" is never asked") }, "\(summary)")
    }

    @Test func tooManyConditionsForOneAddressAreRefused() throws {
        let rules: [JSON] = (0..<64).map { ["port": .integer(Int64(2 * $0)), "action": "deny"] }
        let json: JSON = ["mode": "audit", "connect": ["default": "allow", "rules": .array(rules)]]
        let error = #expect(throws: StageError.self) { try plan(json, at: .cgroupSendmsg4) }
        #expect(
            "\(error!)".hasPrefix("connect.rules: 65 conditions on ports and protocols are for addresses of 0.0.0.0/0"),
            "\(error!)")
        let fewer: JSON = [
            "mode": "audit", "connect": ["default": "allow", "rules": .array(Array(rules.dropLast()))],
        ]
        #expect(try plan(fewer, at: .cgroupConnect4).maps["matches"]?.entries.count == 64)
    }
}
