// SPDX-License-Identifier: Apache-2.0

/// The programs that the manager can see: on the interfaces of its own network namespace and of every one that a chain
/// lives in, and on cgroups.
public struct ProgramReport: Codable, Sendable, Equatable {
    /// By network namespace, interface and hook; then by cgroup.
    public var programs: [AttachedProgram]
    /// What could not be seen, and why.
    public var notes: [String]

    public init(programs: [AttachedProgram], notes: [String]) {
        self.programs = programs
        self.notes = notes
    }
}

/// A program on an interface or a cgroup, whoever attached it.
public struct AttachedProgram: Codable, Sendable, Equatable {
    public enum Hook: String, Codable, Sendable, CaseIterable {
        case xdp
        /// A classifier of a clsact or ingress qdisc (`tc filter`).
        case tc
        /// Traffic control with links (Linux 6.6).
        case tcx
        case cgroup
    }

    public enum Position: String, Codable, Sendable, CaseIterable {
        /// XDP in the driver, and XDP in the stack.
        case native, generic
        /// tc and tcx.
        case ingress, egress
        /// The hooks of a cgroup that a chain may be at.
        case skbIngress = "skb-ingress"
        case skbEgress = "skb-egress"
        case connect4, connect6, sendmsg4, sendmsg6, bind4, bind6
        case sockCreate = "sock-create"
        case sockops
    }

    /// The interface's name; nil where it is not on an interface.
    public var interface: String?
    /// The cgroup's path below the mount, as a hook names it; nil where it is not on a cgroup.
    public var cgroup: String?
    /// The network namespace's file; nil for the manager's own.
    public var netns: String?
    public var hook: Hook
    public var position: Position
    /// The kernel's id of the program.
    public var id: UInt32
    /// Nil when it may not be looked up: a program that is not pinned takes `CAP_SYS_ADMIN`.
    public var name: String?
    /// The kernel's id of the link that attaches it; nil when there is none, or none that may be seen.
    public var link: UInt32?
    /// Where it or its link is pinned.
    public var pins: [String]
    /// The chain whose root it is; nil for a program that is not Sluice's.
    public var chain: String?

    public init(
        interface: String? = nil, cgroup: String? = nil, netns: String? = nil, hook: Hook, position: Position,
        id: UInt32, name: String? = nil, link: UInt32? = nil, pins: [String] = [], chain: String? = nil
    ) {
        self.interface = interface
        self.cgroup = cgroup
        self.netns = netns
        self.hook = hook
        self.position = position
        self.id = id
        self.name = name
        self.link = link
        self.pins = pins
        self.chain = chain
    }
}
