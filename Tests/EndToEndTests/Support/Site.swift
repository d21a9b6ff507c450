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
