// SPDX-License-Identifier: Apache-2.0

/// What became of a packet, and why: `enum dos_reason` of bpf/volumetric-dos/types.h, in its order.
public enum Reason: Int, CaseIterable, Sendable {
    case passed, allowed, rulePassed, arp, ndp, notIP, fragment, limitFull, malformedPassed
    case malformed, malformedDryRun
    case rule, ruleDryRun
    case ruleLimit, ruleLimitDryRun
    case limit, limitDryRun

    /// What its counter is called.
    public var label: String {
        switch self {
        case .passed: "passed"
        case .allowed: "allowed"
        case .rulePassed: "rule-passed"
        case .arp: "arp"
        case .ndp: "ndp"
        case .notIP: "not-ip"
        case .fragment: "later-fragment"
        case .limitFull: "limit-full"
        case .malformedPassed: "malformed-passed"
        case .malformed: "malformed"
        case .malformedDryRun: "malformed-dry-run"
        case .rule: "rule"
        case .ruleDryRun: "rule-dry-run"
        case .limit: "limit"
        case .limitDryRun: "limit-dry-run"
        case .ruleLimit: "rule-limit"
        case .ruleLimitDryRun: "rule-limit-dry-run"
        }
    }
}
