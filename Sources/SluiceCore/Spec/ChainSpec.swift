// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A chain as somebody asked for it: pure data, checked for form but not against plugins or the kernel.
struct ChainSpec: Codable, Sendable, Equatable {
    /// The hook, as ``HookID`` writes it.
    var hook: String
    var mode: AttachMode
    /// Whether packets in fragments (frames above a page) are taken; every stage must cope with them. Nil for what the
    /// interface's MTU asks for when the root is attached.
    var frags: Bool?
    /// Whether stages count what they see.
    var counters = true
    var onFault: FaultVerdict = .pass
    /// Standing rules of a group of sockets; nil where there are none.
    var match: [SocketRule]?
    var stages: [StageSpec]

    init(
        hook: HookID, mode: AttachMode? = nil, frags: Bool? = nil, counters: Bool = true, onFault: FaultVerdict = .pass,
        stages: [StageSpec]
    ) {
        self.hook = hook.description
        self.mode = mode ?? AttachMode.choices(at: hook.kind).first ?? .auto
        // Of other hooks' packets nobody has to know.
        self.frags = hook.kind == .xdp ? frags : false
        self.counters = counters
        self.onFault = onFault
        self.stages = stages
    }

    /// The kernel's 33 tail calls, less the one that a tap in front of the chain needs.
    static let maxStages = 32
}

/// How a root is attached, at hooks where there are several ways.
enum AttachMode: String, Codable, Sendable, CaseIterable {
    /// Of XDP.
    case native, generic
    /// Of traffic control.
    case tcx, clsact
    /// The better one of two, and the other where the driver has no native XDP, or the kernel no tcx; a fall back to
    /// generic XDP is told.
    case auto

    /// What may be asked for at a hook, the default first; empty where there is one way only.
    static func choices(at kind: HookKind) -> [AttachMode] {
        switch kind {
        case .xdp: [.native, .generic, .auto]
        case .tcIngress, .tcEgress: [.auto, .tcx, .clsact]
        default: []
        }
    }
}

/// What a packet gets when a slot is empty that should not be.
enum FaultVerdict: String, Codable, Sendable, CaseIterable {
    /// Fail open.
    case pass
    /// Fail closed.
    case drop
}
