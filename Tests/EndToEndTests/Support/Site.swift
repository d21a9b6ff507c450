// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import StageTesting

typealias Site = LabSite

extension LabSite {
    convenience init(_ lab: Lab) throws {
        try self.init(lab, plugins: ["volumetric-dos-1_0", "volumetric-dos-1_1", "noop", "fixture-stage"])
    }

    func status(_ hook: String = "xdp:edge0") throws -> ChainStatus {
        try decode(must("status", hook, "--output", "json"))
    }

    func history(_ hook: String = "xdp:edge0") throws -> [GenerationRecord] {
        try decode(must("history", hook, "--output", "json"))
    }

    func events() throws -> [Event] { try decode(must("events", "--output", "json")) }
}

extension Site {
    /// Attaches a program that is not Sluice's, without a link.
    func attachForeign(to interface: String = "edge0", mode: String = "xdpdrv") throws {
        let object = BuildProducts.object("noop", of: "noop")
        try lab.check(["ip", "link", "set", "dev", interface, mode, "object", object, "section", "xdp"])
    }

    /// Has the daemon look after its chains at once, not only within the minute: it does whenever anything happens to an
    /// interface.
    func poke() throws {
        for length in [999, 1000] { try lab.ip(["link set dev lo txqueuelen \(length)"]) }
    }

    /// Whether that program is on the interface.
    func hasForeign(_ interface: String = "edge0") throws -> Bool {
        try lab.check(["ip", "-details", "link", "show", interface]).contains("name noop")
    }

    /// A chain of `noop` stages.
    static func noops(_ count: Int, hook: String = "xdp:edge0", extra: String = "") -> String {
        "chains:\n  - hook: \(hook)\n\(extra)    stages:\n"
            + (1...count).map { "      - {name: s\($0), plugin: noop}\n" }.joined()
    }

    /// A chain that drops UDP to one port.
    static func dropping(port: Int, version: String = "1.0", hook: String = "xdp:edge0") -> String {
        """
        chains:
          - hook: \(hook)
            stages:
              - name: dos
                plugin: volumetric-dos
                version: "\(version)"
                config:
                  rules:
                    - {name: blocked, protocol: udp, destination-port: \(port)}
        """
    }
}
