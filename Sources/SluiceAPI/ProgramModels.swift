// SPDX-License-Identifier: Apache-2.0

/// The programs on the interfaces that the manager can see: those of its own network namespace and of every one that a
/// chain lives in.
public struct ProgramReport: Codable, Sendable, Equatable {
    /// By network namespace, interface and hook.
    public var programs: [AttachedProgram]
    /// What could not be seen, and why.
    public var notes: [String]

    public init(programs: [AttachedProgram], notes: [String]) {
        self.programs = programs
        self.notes = notes
    }
}

/// A program on an interface, whoever attached it.
public struct AttachedProgram: Codable, Sendable, Equatable {
    public enum Hook: String, Codable, Sendable, CaseIterable {
        case xdp
        /// A classifier of a clsact or ingress qdisc (`tc filter`).
        case tc
        /// Traffic control with links (Linux 6.6).
        case tcx
    }

    public enum Position: String, Codable, Sendable, CaseIterable {
        /// XDP in the driver, and XDP in the stack.
        case native, generic
        /// tc and tcx.
        case ingress, egress
    }

    public var interface: String
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
        interface: String, netns: String? = nil, hook: Hook, position: Position, id: UInt32, name: String? = nil,
        link: UInt32? = nil, pins: [String] = [], chain: String? = nil
    ) {
        self.interface = interface
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
