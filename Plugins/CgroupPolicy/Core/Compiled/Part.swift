// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// What a kind of hook is about.
public enum Part: String, Sendable, CaseIterable {
    case connect, send, bind, ingress, egress, sockops
    case sockCreate = "sock-create"

    /// Nil for a hook that a policy has no part for.
    public init?(_ kind: HookKind) {
        switch kind {
        case .cgroupConnect4, .cgroupConnect6: self = .connect
        case .cgroupSendmsg4, .cgroupSendmsg6: self = .send
        case .cgroupBind4, .cgroupBind6: self = .bind
        case .cgroupSkbIngress: self = .ingress
        case .cgroupSkbEgress: self = .egress
        case .cgroupSockCreate: self = .sockCreate
        case .sockops: self = .sockops
        case .xdp, .tcIngress, .tcEgress, .socketFilter: return nil
        }
    }

    public static let hooks = HookKind.allCases.filter { Part($0) != nil }

    /// What a process does there: "connect to", for events and summaries.
    var verb: String {
        switch self {
        case .connect: "connect to"
        case .send: "send to"
        case .bind: "bind"
        case .ingress: "packet from"
        case .egress: "packet to"
        case .sockCreate: "socket"
        case .sockops: "connection"
        }
    }

    var isOfPackets: Bool { self == .ingress || self == .egress }
    /// Whether addresses that stand for others are looked for.
    var rewrites: Bool { self == .connect || self == .send }
}

extension Configuration {
    /// The rules that are asked at a hook; nil where all goes on.
    func rules(_ part: Part) -> Rules? {
        switch part {
        case .connect: connect
        // Else what is denied to connect could be sent to all the same.
        case .send: send ?? connect
        case .bind: bind
        case .ingress: ingress
        case .egress: egress
        case .sockops, .sockCreate: nil
        }
    }

    /// The rows of the counters of a part, by the number of the rule.
    func labels(_ part: Part) -> [String] {
        part == .sockCreate ? sockCreate?.labels ?? [] : rules(part)?.labels ?? []
    }

    /// Whether anything can be denied at a part, and is to be told then.
    func reports(_ part: Part) -> Bool {
        guard reportsPerSecond > 0 else { return false }
        if part == .sockCreate { return sockCreate?.deny.isEmpty == false }
        guard let rules = rules(part) else { return false }
        return rules.otherwise == .deny || rules.rules.contains { $0.action == .deny }
    }
}
