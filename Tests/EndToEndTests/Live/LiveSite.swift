// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting

/// A chain of the fixture stage that takes changes while it is live, in versions 1.0 and 1.1.
struct LiveSite {
    let site: Site

    init(_ lab: Lab) throws {
        site = try Site(lab, plugins: ["fixture-stage", "noop"])
        try lab.check(["cp", "-r", "\(site.plugins)/fixture-stage/1.0", "\(site.plugins)/fixture-stage/1.1"])
        // Nothing but what is sent here may be counted.
        try lab.ip(["link set client0 down"], netns: "client")
        try site.start()
        try site.apply(Self.spec())
    }

    static func spec(ports: [Int] = [9], version: String = "1.0", more: String = "") -> String {
        """
        chains:
          - hook: xdp:edge0
            stages:
              - name: live
                plugin: fixture-stage
                version: "\(version)"
                config: {program: live, ports: \(ports)}

        """ + more
    }

    @discardableResult
    func rule(_ arguments: String..., input: String? = nil) throws -> Site.Result {
        try site.ctl(["rule", arguments[0], "xdp:edge0", "live"] + arguments.dropFirst(), input: input)
    }

    /// Adds a rule, which must succeed.
    func add(_ rule: String) throws { try site.must("rule", "add", "xdp:edge0", "live", rule) }

    /// The ports from 1 to 20 that are dropped now.
    func dropped() throws -> [Int] { try (1...20).filter { try site.verdict(port: UInt16($0)) == .drop } }

    /// The names of the rules, by `rule list`.
    func names() throws -> [String] {
        let rows: [[String: JSONValue]] = try site.decode(
            site.must("rule", "list", "xdp:edge0", "live", "-o", "json"))
        return rows.compactMap { row in if case .string(let name)? = row["rule"] { name } else { nil } }
    }

    /// What is recorded of changes, and what the kernel has of them.
    func written() throws -> Written {
        let dump: MapDump = try site.decode(
            site.must("map", "dump", "xdp:edge0", "live", "live_slots", "-o", "json"))
        return Written(records: try sql("SELECT * FROM live_entry"), slots: dump.entries)
    }

    struct Written: Equatable {
        var records: String
        var slots: [TypedEntry]
    }

    func sql(_ statement: String) throws -> String {
        try site.lab.check(["sqlite3", "\(site.state)/sluice.db", statement])
    }
}
