// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// All programs on the interfaces of one network namespace, or on all cgroups, at one moment.
struct ProgramSurvey {
    struct Seen {
        var interface: String?
        var index = 0
        var cgroup: String?
        var cgroupID: UInt64 = 0
        var hook: AttachedProgram.Hook
        var position: AttachedProgram.Position
        var id: UInt32
        var name: String?
        var link: UInt32?
    }

    var seen: [Seen] = []

    /// Looks into a namespace; nil for the caller's own.
    init(netns: String?) throws(BPFError) {
        seen = try inNetworkNamespace(netns) { () throws(BPFError) in try Self.look() }
    }

    /// Looks at the hooks of cgroups that a chain may be at, in the manager's mount of cgroup2.
    init(cgroupsBelow mount: String) {
        let kinds = HookKind.allCases.filter { $0.place == .cgroup }.compactMap { kind in
            ProgramKind(hook: kind.rawValue).map { (program: $0, position: AttachedProgram.Position(kind)) }
        }
        for folder in Cgroups.all(below: mount) {
            for (program, position) in kinds {
                // It may go while it is looked at.
                for id in (try? Cgroup.programs(of: program, at: folder)) ?? [] {
                    seen.append(
                        Seen(
                            cgroup: folder == mount ? "/" : String(folder.dropFirst(mount.count)),
                            cgroupID: Cgroups.id(of: folder) ?? 0, hook: .cgroup, position: position, id: id))
                }
            }
        }
    }

    private static func look() throws(BPFError) -> [Seen] {
        let classifiers = try Interfaces.classifiers()
        var seen: [Seen] = []
        for interface in try Interfaces.list() {
            seen += interface.programs.map {
                Seen(
                    interface: interface.name, index: interface.index, hook: .xdp,
                    position: $0.mode == .native ? .native : .generic, id: $0.programID)
            }
            seen += try Interfaces.tcx(of: interface.index).map {
                Seen(
                    interface: interface.name, index: interface.index, hook: .tcx,
                    position: $0.isEgress ? .egress : .ingress, id: $0.programID, link: $0.linkID == 0 ? nil : $0.linkID
                )
            }
            seen += classifiers.filter { $0.interface == interface.index }.map {
                Seen(
                    interface: interface.name, index: interface.index, hook: .tc,
                    position: $0.isEgress ? .egress : .ingress, id: $0.programID, name: $0.name)
            }
        }
        return seen
    }
}

extension AttachedProgram.Position {
    /// Of a cgroup's hook.
    fileprivate init(_ kind: HookKind) {
        switch kind {
        case .cgroupSkbIngress: self = .skbIngress
        case .cgroupSkbEgress: self = .skbEgress
        case .cgroupConnect4: self = .connect4
        case .cgroupConnect6: self = .connect6
        case .cgroupSendmsg4: self = .sendmsg4
        case .cgroupSendmsg6: self = .sendmsg6
        case .cgroupBind4: self = .bind4
        case .cgroupBind6: self = .bind6
        case .cgroupSockCreate: self = .sockCreate
        case .sockops: self = .sockops
        case .xdp, .tcIngress, .tcEgress, .socketFilter: fatalError("\(kind) is not a cgroup's")
        }
    }
}
