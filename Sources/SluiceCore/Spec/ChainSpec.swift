// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A chain as somebody asked for it: pure data, checked for form but not against plugins or the kernel.
struct ChainSpec: Codable, Sendable, Equatable {
    /// The hook, as ``HookID`` writes it.
    var hook: String
    var mode: AttachMode = .native
    /// Whether packets in fragments (frames above a page) are taken; every stage must cope with them. Nil for what the
    /// interface's MTU asks for when the root is attached.
    var frags: Bool?
    /// Whether stages count what they see.
    var counters = true
    var onFault: FaultVerdict = .pass
    var stages: [StageSpec]

    /// The kernel's 33 tail calls, less the one that a tap in front of the chain needs.
    static let maxStages = 32
}

enum AttachMode: String, Codable, Sendable, CaseIterable {
    case native, generic
    /// Native, and generic where the driver has no native XDP; that it fell back is told.
    case auto
}

/// What a packet gets when a slot is empty that should not be.
enum FaultVerdict: String, Codable, Sendable, CaseIterable {
    /// Fail open.
    case pass
    /// Fail closed.
    case drop
}
