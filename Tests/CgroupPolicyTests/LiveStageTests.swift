// SPDX-License-Identifier: Apache-2.0

import StageKit
import Testing

@testable import CgroupPolicy

@Suite struct LiveStageTests {
    private static let configuration: JSON = [
        "mode": "enforce",
        "connect": [
            "default": "deny",
            "rules": [
                ["name": "web", "to": "192.0.2.0/24", "port": [80, 443], "protocol": "tcp", "action": "allow"],
                ["name": "none", "to": "192.0.2.7", "action": "deny"],
                ["name": "self", "to": ["127.0.0.0/8", "::1"], "action": "allow"],
            ],
        ],
        "rewrite": [["from": "192.0.2.10:80", "to": "127.0.0.1:8080"]],
        "egress": [
            "default": "allow", "rules": [["name": "dns", "local-port": 53, "protocol": "udp", "action": "deny"]],
        ],
    ]

    private func ask(_ request: JSON, at kind: HookKind = .cgroupConnect4, audit: Bool = false) throws -> StageTable {
        var configuration = Self.configuration
        if audit, case .object(var object) = configuration {
            object["mode"] = "audit"
            configuration = .object(object)
        }
        return try LiveStage.inspect(
            InspectRequest(
                configuration: configuration, context: context(kind), request: request,
                maps: ["unreported": [MapEntry(key: Bytes(number: UInt32(0)), value: Bytes(number: UInt64(3)))]],
                counters: ["rules": kind == .cgroupSkbEgress ? [[9, 900], [1, 100]] : [[5], [7], [0], [2]]]))
    }

    private func explain(_ protocol: String, _ address: String, _ port: Int64) -> JSON {
        ["explain": ["protocol": .string(`protocol`), "address": .string(address), "port": .integer(port)]]
    }

    @Test func rulesAreListedWithWhatTheyDecided() throws {
        let table = try ask(["list": "rules"])
        #expect(table.columns == ["rule", "action", "calls"])
        #expect(table.rows[0] == ["web", "allow tcp 192.0.2.0/24 port 80,443", 7])
        #expect(table.rows.last == ["default", "deny", 5])
        #expect(table.notes == ["3 denials were not reported, as the ring was full"])
        let packets = try ask(["list": "rules"], at: .cgroupSkbEgress)
        #expect(
            packets.rows == [["dns", "deny udp all addresses local port 53", 1, 100], ["default", "allow", 9, 900]])
        #expect(try ask(["list": "rules"], at: .cgroupBind4).notes[0] == "nothing is said of bind: all goes on")
    }

    static let explained: [(String, String, Int64, String)] = [
        ("tcp", "192.0.2.7", 443, "connect to 192.0.2.7:443 (tcp) is allowed by rule \"web\""),
        ("udp", "192.0.2.7", 443, "connect to 192.0.2.7:443 (udp) is denied by rule \"none\""),
        ("tcp", "192.0.2.8", 22, "connect to 192.0.2.8:22 (tcp) is denied by the default"),
        ("tcp", "::", 22, "connect to [::]:22 (tcp) is allowed by rule \"self\""),
        ("tcp", "192.0.2.10", 80, "it gets to 127.0.0.1:8080: 192.0.2.10:80 stands for that"),
    ]

    @Test(arguments: explained)
    func aCallIsExplained(call: (String, String, Int64, String)) throws {
        let table = try ask(explain(call.0, call.1, call.2))
        #expect(table.notes.contains(call.3), "\(table)")
    }

    @Test func whyOthersDoNotDecideIsSaid() throws {
        let table = try ask(explain("tcp", "192.0.2.8", 22))
        #expect(
            table.rows == [
                [
                    "web", "allow tcp 192.0.2.0/24 port 80,443", "is for the address, but not for the protocol or port",
                ], ["default", "deny", "no rule holds"],
            ])
        let audit = try ask(explain("tcp", "192.0.2.8", 22), audit: true)
        #expect(audit.notes[0].hasSuffix("would be denied by the default, and goes on, as the mode is audit"))
    }

    @Test func whatCannotBeAskedIsRefused() throws {
        for request: JSON in [[:], ["list": "servers"], explain("tcp", "localhost", 1), explain("icmp", "::1", 1)] {
            #expect(throws: StageError.self, "\(request)") { try ask(request) }
        }
        #expect(throws: StageError.self) { try ask(explain("tcp", "::1", 1), at: .sockops) }
    }
}
