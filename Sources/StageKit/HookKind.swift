// SPDX-License-Identifier: Apache-2.0

/// The kind of hook a stage is written for, by the name it has in a spec (`xdp:eth0` has kind `xdp`).
public enum HookKind: String, Codable, Sendable, CaseIterable {
    /// Frames as they come off the wire.
    case xdp
    /// Traffic control: frames with all that the stack knows of them (tcx from Linux 6.6 on, clsact before).
    case tcIngress = "tc-ingress"
    case tcEgress = "tc-egress"
    /// Packets that sockets of a cgroup get or send.
    case cgroupSkbIngress = "cgroup-skb-ingress"
    case cgroupSkbEgress = "cgroup-skb-egress"
    /// Addresses that processes of a cgroup connect to, send to without a connection, or bind.
    case cgroupConnect4 = "cgroup-connect4"
    case cgroupConnect6 = "cgroup-connect6"
    case cgroupSendmsg4 = "cgroup-sendmsg4"
    case cgroupSendmsg6 = "cgroup-sendmsg6"
    case cgroupBind4 = "cgroup-bind4"
    case cgroupBind6 = "cgroup-bind6"
    /// Sockets that processes of a cgroup make.
    case cgroupSockCreate = "cgroup-sock-create"
    /// Events of TCP connections of a cgroup.
    case sockops
    /// Packets that are queued to sockets of a group.
    case socketFilter = "socket-filter"
}

extension HookKind {
    /// What stands behind the colon of a hook's name.
    public enum Place: Sendable {
        case interface
        /// A cgroup's path, or a unit's name.
        case cgroup
        /// The name of a group of sockets, which its chain alone defines.
        case group
    }

    public var place: Place {
        switch self {
        case .xdp, .tcIngress, .tcEgress: .interface
        case .socketFilter: .group
        default: .cgroup
        }
    }

    /// The verdicts that a stage can give there, besides `next`.
    public var verdicts: [Verdict] {
        switch self {
        case .xdp: [.aborted, .drop, .pass, .tx, .redirect]
        case .tcIngress, .tcEgress: [.drop, .pass, .redirect]
        default: [.drop, .pass]
        }
    }

    /// Whether there is a packet, which the kernel can also be given for a test (`BPF_PROG_TEST_RUN`).
    public var hasPackets: Bool {
        switch self {
        case .xdp, .tcIngress, .tcEgress, .cgroupSkbIngress, .cgroupSkbEgress, .socketFilter: true
        default: false
        }
    }

    /// Whether what comes belongs to a flow, of which a share can be tried on a canary.
    public var hasFlows: Bool { hasPackets || self == .sockops }

    /// What a chain's return value means; nil for a number that is no verdict. That nobody has ended the walk is told from
    /// `pass` at traffic control only: there it is `next`.
    public func verdict(returned number: UInt32) -> Verdict? {
        switch self {
        case .xdp: Verdict(number: number).flatMap { $0 == .next ? nil : $0 }
        // TC_ACT_OK, TC_ACT_SHOT, TC_ACT_REDIRECT; all else the kernel takes for TC_ACT_UNSPEC.
        case .tcIngress, .tcEgress: number == 0 ? .pass : number == 2 ? .drop : number == 7 ? .redirect : .next
        // How many bytes are left of the packet.
        case .socketFilter: number == 0 ? .drop : .pass
        default: number & 1 == 0 ? .drop : .pass
        }
    }

    /// By the whole name of a hook, `tc-egress:eth0`; nil for what is none.
    public init?(of hook: String) {
        self.init(rawValue: String(hook.prefix { $0 != ":" }))
    }
}
