// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI

/// All programs on the interfaces of one network namespace, at one moment.
struct ProgramSurvey {
    struct Seen {
        var interface: String
        var index: Int
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
