// SPDX-License-Identifier: Apache-2.0

/// What a generation of the soak's chain is made of.
struct SoakRecipe: Equatable, CustomStringConvertible {
    /// The port that every generation drops.
    static let blocked: UInt16 = 7
    /// A port that none drops.
    static let open: UInt16 = 9

    /// Tells the generation from all others of its sequence: every packet is stamped with it, and the stamp compared.
    var stamp: Int
    /// A port that it drops besides.
    var port: UInt16
    /// The version of the stage that drops.
    var dos = "1.0"
    /// The version of a stage whose state is laid out otherwise from 2.0 on; nil for a chain without it.
    var tally: String?

    static let ports: ClosedRange<UInt16> = 20...23
    static let dosVersions = ["1.0", "1.1"]
    /// 2.0 merges the state of 1.0, 3.0 takes it over on first use, 1.0 starts empty after either.
    static let tallyVersions = ["1.0", "2.0", "3.0"]

    /// As `status` tells the stages.
    var titles: [String] {
        ["stamp fixture-stage 1.0"] + (tally.map { ["tally fixture-stage \($0)"] } ?? [])
            + ["check fixture-stage 1.0", "dos volumetric-dos \(dos)"]
    }

    /// - Parameter fault: what goes wrong in its first stage, `misbehave: crash`.
    func spec(fault: String? = nil) -> String {
        let counting = tally.map {
            """
                  - {name: tally, plugin: fixture-stage, version: "\($0)", config: {program: tally, entries: 1024}}

            """
        }
        let fixture = "plugin: fixture-stage, version: \"1.0\", config: {generation: \(stamp)"
        let rules = [Self.blocked, port].map { "{name: p\($0), protocol: udp, destination-port: \($0)}" }
        return """
            chains:
              - hook: xdp:edge0
                stages:
                  - {name: stamp, \(fixture)\(fault.map { ", \($0)" } ?? "")}}
            \(counting ?? "")\
                  - {name: check, \(fixture), program: check}}
                  - {name: dos, plugin: volumetric-dos, version: "\(dos)", config: {rules: [\(rules.joined(separator: ", "))]}}
            """
    }

    var description: String { "#\(stamp) dos \(dos), port \(port)\(tally.map { ", tally \($0)" } ?? "")" }
}
