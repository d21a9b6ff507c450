// SPDX-License-Identifier: Apache-2.0

extension BPFObject.Declaration {
    /// Whether it is for hooks of this kind, as its section says, in libbpf's names of sections and in those that older
    /// loaders took.
    public func fits(_ kind: ProgramKind) -> Bool {
        switch kind.family {
        case "xdp": xdpSection != nil
        case "tc": ["tc", "classifier", "action", "tcx"].contains(base) || base.hasPrefix("tc_")
        case "cgroup_skb":
            section == "cgroup/skb" || section == "cgroup_skb"
                || section == "cgroup_skb/\(kind.isEgress ? "egress" : "ingress")"
        case "cgroup_sock_addr": section == kind.section
        case "cgroup_sock": ["cgroup/sock", "cgroup/sock_create"].contains(section)
        case "sockops": base == "sockops"
        case "socket_filter": base.hasPrefix("socket")
        default: false
        }
    }

    /// Whether it copes with packets in fragments, as its section says.
    public var hasFrags: Bool { xdpSection == "xdp.frags" }

    private var base: Substring { section.prefix { $0 != "/" } }

    /// `xdp`, `xdp.frags`, and what older loaders took too: `xdp_firewall`, `xdp/ingress`. Not those for the maps
    /// of devices and CPUs, which are programs of another kind.
    private var xdpSection: Substring? {
        let parts = section.split(separator: "/", maxSplits: 1)
        guard let first = parts.first,
            first == "xdp" || first == "xdp.frags" || first.hasPrefix("xdp_"),
            !["xdp_devmap", "xdp_cpumap"].contains(first),
            parts.count == 1 || !["devmap", "cpumap"].contains(parts[1])
        else { return nil }
        return first
    }
}
