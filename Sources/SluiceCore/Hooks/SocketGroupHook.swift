// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// `socket-filter:GROUP`: the root is the filter of each of the group's sockets (`SO_ATTACH_BPF`). They share the group's
/// slot, so one flip changes what all of them run, and no socket is touched. A group needs no socket to be there.
struct SocketGroupHook: Hook {
    let directory: HookDirectory

    func checkPlace() throws(APIErrorBody) {}

    func attach(mode: AttachMode, replace: Bool) throws(APIErrorBody) -> (mode: String?, notes: [String]) {
        do throws(BPFError) {
            try Bpffs.note("sockets", at: directory.link)
        } catch {
            throw APIErrorBody(code: "kernel", message: "\(error)")
        }
        FaultPoint.linkAttached.hit()
        return (nil, [])
    }

    func survey() throws(BPFError) -> RootSurvey {
        RootSurvey(place: try isAttached() ? .attached(nil) : .detached, target: .present)
    }

    func isAttached() throws(BPFError) -> Bool { Bpffs.isNote(directory.link) }

    func takeOff() throws(BPFError) {
        FaultPoint.linkDetached.hit()
        try Pin.remove(directory.link)
    }

    func repinLink() throws {}
}
