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
        name: "noop", version: "1.0", summary: "Passes everything on, or gives all the same verdict; at every hook.",
        hooks: HookKind.allCases)

    func plan(_ configuration: Configuration, in context: PlanContext) throws -> StagePlan {
        let verdict: Verdict =
            switch configuration.verdict ?? .next {
            case .next: .next
            case .pass: .pass
            case .drop: .drop
            }
        let packet = Packet.bytes(.ethernet(), .ipv4(from: "192.0.2.1", to: "192.0.2.2"), .udp(from: 1, to: 2))
        let kind = context.kind ?? .xdp
        return StagePlan(
            object: Self.object(for: kind), program: "noop", constants: ["verdict": .unsigned(UInt64(verdict.number))],
            verdicts: [verdict],
            samples: kind.hasPackets ? [Sample(name: "any packet", packet: Bytes(packet), expect: verdict)] : [],
            summary: ["gives everything the verdict \(verdict.rawValue)"])
    }

    /// Hooks whose programs are of one type share an object.
    private static func object(for kind: HookKind) -> String {
        switch kind {
        case .xdp: "noop.bpf.o"
        case .tcIngress, .tcEgress: "noop_tc.bpf.o"
        case .cgroupSkbIngress, .cgroupSkbEgress: "noop_cgroup_skb.bpf.o"
        case .cgroupConnect4, .cgroupConnect6, .cgroupSendmsg4, .cgroupSendmsg6, .cgroupBind4, .cgroupBind6:
            "noop_cgroup_sock_addr.bpf.o"
        case .cgroupSockCreate: "noop_cgroup_sock.bpf.o"
        case .sockops: "noop_sockops.bpf.o"
        case .socketFilter: "noop_socket_filter.bpf.o"
        }
    }
}
