// SPDX-License-Identifier: Apache-2.0

/// What became of a packet: `enum l4lb_verdict`, in its order.
enum Outcome: Int, CaseIterable {
    case fragment, icmpError, quicID, probed, allDown, unrouted
    case forwarded, echo, tooBig, tooBigLimited, tooBigSilent, noService, malformed, empty
    case keptSYN, keptEstablished, keptCookie, keptConnected, keptLast, onward, foreign
    case checkAnswer, checkAstray

    var label: String {
        switch self {
        case .icmpError: "icmp-error"
        case .quicID: "quic-id"
        case .allDown: "all-down"
        case .tooBig: "too-big"
        case .tooBigLimited: "too-big-limited"
        case .tooBigSilent: "too-big-silent"
        case .noService: "no-service"
        case .keptSYN: "kept-syn"
        case .keptEstablished: "kept-established"
        case .keptCookie: "kept-cookie"
        case .keptConnected: "kept-connected"
        case .keptLast: "kept-last"
        case .checkAnswer: "check-answer"
        case .checkAstray: "check-astray"
        default: "\(self)"
        }
    }
}
