// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples
internal import StageKit

/// A rule that auto mode proposes, or has had installed.
struct AutoRule {
    enum State: String {
        case proposed, installing, installed
    }

    let name: String
    let finding: Finding
    let target: Targets.Target
    let reason: String
    var state: State
    /// When it ends unless it is renewed, in seconds.
    var expires: Double
    /// Packets a second that it lately held.
    var held: Double

    /// Its conditions as an operator would write them.
    var words: String {
        let conditions = finding.pattern.rule.conditions
        return "drop \(conditions.joined(separator: ", "))"
    }

    func row(at time: Double) -> [JSON] {
        [
            .string(name), .string(state.rawValue), .string(words), .integer(Int64(held.rounded())),
            .string(percent(finding.cost, of: 1)), .integer(Int64(max(0, expires - time).rounded())), .string(reason),
        ]
    }

    static let columns = ["rule", "state", "action", "packets-per-second", "bystanders", "seconds-left", "reason"]
}
