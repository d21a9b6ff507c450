// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import StageKit
import StageTesting
import Testing

/// One row of the table that all tests of hooks run: a kind of hook, and how it is attached where there are several ways.
struct HookCase: Sendable, CustomTestStringConvertible {
    var kind: HookKind
    /// As a spec says it; nil leaves it to the manager.
    var mode: String?

    static let all: [HookCase] =
        HookKind.allCases.map { HookCase(kind: $0) }
        // Before Linux 6.6 it is what traffic control has.
        + (KernelVersion.running >= "6.6" ? [.tcIngress, .tcEgress].map { HookCase(kind: $0, mode: "clsact") } : [])

    /// For the tests that take longest: all of them if `SLUICE_HOOKS` is `all` in the environment, else one of each two that
    /// share their code and differ in a direction or an address family.
    static let usual =
        ProcessInfo.processInfo.environment["SLUICE_HOOKS"] == "all"
        ? all
        : all.filter {
            ![.cgroupSkbIngress, .cgroupConnect6, .cgroupSendmsg4, .cgroupBind6].contains($0.kind)
                && $0.testDescription != "tc-ingress (clsact)"
                && ($0.testDescription != "tc-egress" || KernelVersion.running < "6.6")
        }

    static let withFlows = usual.filter(\.kind.hasFlows)
    /// One for each way in which roots are attached, by what it is called.
    static let attachments = ["xdp", "tc-ingress", "tc-egress (clsact)", "cgroup-connect4", "socket-filter"]

    var testDescription: String { "\(kind.rawValue)\(mode.map { " (\($0))" } ?? "")" }

    /// How `status` calls the way it is attached; nil where there is one only.
    var told: String? {
        switch kind {
        case .xdp: "native"
        case .tcIngress, .tcEgress: mode ?? (KernelVersion.running >= "6.6" ? "tcx" : "clsact")
        default: nil
        }
    }

    /// Whether the root is held by a link of the kernel's.
    var hasLink: Bool { told != "clsact" && kind != .socketFilter }

    /// What becomes of a call that the chain drops.
    var denial: KeyPath<CallTally, UInt64> {
        switch kind {
        case .xdp, .tcIngress, .tcEgress, .cgroupSkbIngress, .socketFilter: \.lost
        // Of TCP's events it is only that the answer is not taken.
        default: \.refused
        }
    }

    /// What the kernel makes of a fixture's stamp that no `check` takes away again must do no harm: of TCP's events the
    /// answer 1 means that a connection shall have ECN, elsewhere 0 means nothing.
    var harmlessStamp: Int { kind == .sockops ? 1 : 0 }

    /// Which program of `plain.bpf.c` is for it.
    var plain: String {
        switch kind {
        case .xdp: "plain_xdp"
        case .tcIngress, .tcEgress: "plain_tc"
        case .cgroupSkbIngress: "plain_ingress"
        case .cgroupSkbEgress: "plain_egress"
        case .cgroupConnect4: "plain_connect4"
        case .cgroupConnect6: "plain_connect6"
        case .cgroupSendmsg4: "plain_sendmsg4"
        case .cgroupSendmsg6: "plain_sendmsg6"
        case .cgroupBind4: "plain_bind4"
        case .cgroupBind6: "plain_bind6"
        case .cgroupSockCreate: "plain_sock_create"
        case .sockops: "plain_sockops"
        case .socketFilter: "plain_socket"
        }
    }
}
