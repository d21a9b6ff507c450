// SPDX-License-Identifier: Apache-2.0

/// What became of a packet, and why: `enum egress_reason` of bpf/tc-egress/types.h, in its order.
public enum Reason: Int, CaseIterable, Sendable {
    case passed, allowed, control, notIP, malformedPassed
    case malformed, spoofed, blocked, policed, late

    /// What its counter is called.
    public var label: String {
        switch self {
        case .passed: "passed"
        case .allowed: "allowed"
        case .control: "control"
        case .notIP: "not-ip"
        case .malformedPassed: "malformed-passed"
        case .malformed: "malformed"
        case .spoofed: "spoofed"
        case .blocked: "blocked"
        case .policed: "policed"
        case .late: "too-late"
        }
    }

    public var isDrop: Bool { rawValue >= Self.malformed.rawValue }
}
