// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// The stage that does nothing: the least there is to a plugin, and a template for the next one.
@main
struct Noop: StagePlugin {
    struct Configuration: Codable, Sendable {
        /// What every packet gets; the next stage's turn unless given.
        var verdict: Choice?

        enum Choice: String, Codable, CaseIterable {
            case next, pass, drop
        }
    }

    static let description = StageDescription(
        name: "noop", version: "1.0", summary: "Passes every packet on, or gives all the same verdict.", hooks: [.xdp])

    func plan(_ configuration: Configuration, in context: PlanContext) throws -> StagePlan {
        let verdict: Verdict =
            switch configuration.verdict ?? .next {
            case .next: .next
            case .pass: .pass
            case .drop: .drop
            }
        let packet = Packet.bytes(.ethernet(), .ipv4(from: "192.0.2.1", to: "192.0.2.2"), .udp(from: 1, to: 2))
        return StagePlan(
            object: "noop.bpf.o", program: "noop", constants: ["verdict": .unsigned(UInt64(verdict.xdp))],
            verdicts: [verdict], samples: [Sample(name: "any packet", packet: Bytes(packet), expect: verdict)],
            summary: ["gives every packet the verdict \(verdict.rawValue)"])
    }
}
