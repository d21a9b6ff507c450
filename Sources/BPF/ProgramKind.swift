// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF

/// What all programs of a hook have in common, and of a program array must: their type and the attach type that they are
/// loaded for (`enum bpf_prog_type`, `enum bpf_attach_type`).
public struct ProgramKind: Sendable, Hashable {
    /// `xdp`, `tc`, `cgroup_skb`, ...: the hook's family, by which the manager's own object for it is known too.
    public let family: String
    let type: UInt32
    let attachType: UInt32
    var flags: UInt32 = 0

    private init(_ family: String, _ type: bpf_prog_type, _ attachType: bpf_attach_type? = nil, flags: UInt32 = 0) {
        self.init(family: family, type: type.rawValue, attachType: attachType?.rawValue ?? 0, flags: flags)
    }

    private init(family: String, type: UInt32, attachType: UInt32, flags: UInt32 = 0) {
        self.family = family
        self.type = type
        self.attachType = attachType
        self.flags = flags
    }
}

extension ProgramKind {
    public static let xdp = ProgramKind("xdp", BPF_PROG_TYPE_XDP, BPF_XDP)
    /// For clsact, and for tcx, which takes programs of no attach type too.
    public static let tc = ProgramKind("tc", BPF_PROG_TYPE_SCHED_CLS)
    public static let cgroupSkbIngress = ProgramKind("cgroup_skb", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS)
    public static let cgroupSkbEgress = ProgramKind("cgroup_skb", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS)
    public static let cgroupConnect4 = sockAddr(BPF_CGROUP_INET4_CONNECT)
    public static let cgroupConnect6 = sockAddr(BPF_CGROUP_INET6_CONNECT)
    public static let cgroupSendmsg4 = sockAddr(BPF_CGROUP_UDP4_SENDMSG)
    public static let cgroupSendmsg6 = sockAddr(BPF_CGROUP_UDP6_SENDMSG)
    public static let cgroupBind4 = sockAddr(BPF_CGROUP_INET4_BIND)
    public static let cgroupBind6 = sockAddr(BPF_CGROUP_INET6_BIND)
    public static let cgroupSockCreate = ProgramKind(
        "cgroup_sock", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE)
    public static let sockOps = ProgramKind("sockops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS)
    public static let socketFilter = ProgramKind("socket_filter", BPF_PROG_TYPE_SOCKET_FILTER)

    /// Lists the sockets of a map of their storage; attached to no hook.
    public static let socketMembers = ProgramKind("socket_members", BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER)

    // Of hooks that no chain has; for probes.
    public static let skLookup = ProgramKind("sk_lookup", BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP)
    public static let skSkb = ProgramKind("sk_skb", BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_VERDICT)
    public static let skMsg = ProgramKind("sk_msg", BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT)
    public static let skReuseport = ProgramKind(
        "sk_reuseport", BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT)
    public static let rawTracepoint = ProgramKind("raw_tp", BPF_PROG_TYPE_RAW_TRACEPOINT)
    static let tracing = ProgramKind("fentry", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY)
    /// `BPF_PROG_TYPE_NETFILTER` and `BPF_NETFILTER`, which Debian 12's header lacks.
    public static let netfilter = ProgramKind(family: "netfilter", type: 32, attachType: 45)
    /// `BPF_TCX_INGRESS`, likewise.
    static let tcx = ProgramKind(family: "tcx", type: BPF_PROG_TYPE_SCHED_CLS.rawValue, attachType: 46)

    private static func sockAddr(_ attachType: bpf_attach_type) -> ProgramKind {
        ProgramKind("cgroup_sock_addr", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, attachType)
    }

    /// The same for packets in fragments (`BPF_F_XDP_HAS_FRAGS`, Linux 5.18), which only XDP has.
    public func taking(frags: Bool) -> ProgramKind {
        var kind = self
        if frags, self == .xdp { kind.flags = 1 << 5 }
        return kind
    }

    /// libbpf's name of its section; nil where several kinds share one.
    var section: String? {
        switch self {
        case .cgroupConnect4: "cgroup/connect4"
        case .cgroupConnect6: "cgroup/connect6"
        case .cgroupSendmsg4: "cgroup/sendmsg4"
        case .cgroupSendmsg6: "cgroup/sendmsg6"
        case .cgroupBind4: "cgroup/bind4"
        case .cgroupBind6: "cgroup/bind6"
        default: nil
        }
    }

    var isEgress: Bool { self == .cgroupSkbEgress }

    /// By the name that a hook has in a spec, `tc-egress`; nil when there is none of that name.
    public init?(hook: String) {
        guard let kind = Self.ofHooks[hook] else { return nil }
        self = kind
    }

    private static let ofHooks: [String: ProgramKind] = [
        "xdp": .xdp, "tc-ingress": .tc, "tc-egress": .tc,
        "cgroup-skb-ingress": .cgroupSkbIngress, "cgroup-skb-egress": .cgroupSkbEgress,
        "cgroup-connect4": .cgroupConnect4, "cgroup-connect6": .cgroupConnect6,
        "cgroup-sendmsg4": .cgroupSendmsg4, "cgroup-sendmsg6": .cgroupSendmsg6,
        "cgroup-bind4": .cgroupBind4, "cgroup-bind6": .cgroupBind6,
        "cgroup-sock-create": .cgroupSockCreate, "sockops": .sockOps, "socket-filter": .socketFilter,
    ]
}
