// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// `socket-filter:GROUP`: the root is the filter of each of the group's sockets (`SO_ATTACH_BPF`). They share the group's
/// slot, so one flip changes what all of them run, and no socket is touched. A group needs no socket to be there.
struct SocketGroupHook: Hook {
    let directory: HookDirectory

    var members: GroupMembers { GroupMembers(directory: directory) }

    func checkPlace() throws(APIErrorBody) {}

    func attach(mode: AttachMode, replace: Bool) throws(APIErrorBody) -> (mode: String?, notes: [String]) {
        do throws(BPFError) {
            try members.make()
            try Bpffs.note("sockets", at: directory.link)
            FaultPoint.linkAttached.hit()
            // After a slot that was lost and made anew.
            try members.renew()
            let stale: [GroupMember] = try members.stale()
            guard stale.isEmpty else {
                throw BPFError(
                    "attach", "\(hook)",
                    cause:
                        "\(stale.count) sockets cannot be reached, and still run a root that is lost (\(stale[0].title)); that "
                        + "takes CAP_SYS_PTRACE (sockets.conf.example in the documentation's folder), or end who holds them"
                )
            }
        } catch {
            throw APIErrorBody(code: "kernel", message: "\(error)")
        }
        return (nil, [])
    }

    func survey() throws(BPFError) -> RootSurvey {
        guard try isAttached(), members.exists, try members.stale().isEmpty else {
            return RootSurvey(place: .detached, target: .present)
        }
        return RootSurvey(place: .attached(nil), target: .present)
    }

    func isAttached() throws(BPFError) -> Bool { Bpffs.isNote(directory.link) }

    func checkTakeOff(onFault: FaultVerdict) throws(APIErrorBody) -> [String] {
        let left: [(member: GroupMember, why: String)]
        do throws(BPFError) {
            left = try members.reach(members.list()) { (_, _) throws(BPFError) in }
        } catch {
            throw APIErrorBody(code: "kernel", message: "\(error)")
        }
        guard !left.isEmpty else { return [] }
        let list = left.prefix(5).map { "\($0.member.title): \($0.why)" }
        let told = (list + (left.count > 5 ? ["\(left.count - 5) more"] : [])).joined(separator: "; ")
        guard onFault == .drop else {
            return ["\(left.count) sockets keep their filter, which lets everything through now: \(told)"]
        }
        throw APIErrorBody.refused(
            "detach \(hook): \(left.count) sockets cannot be reached, and would drop everything from then on (on-fault: "
                + "drop): \(told). `sluicectl socket remove \(hook.place) --all`, run by root, takes the filter off those that "
                + "are not locked; otherwise end who holds them")
    }

    func takeOff() throws(BPFError) {
        try members.reach(members.list()) { (_, socket) throws(BPFError) in try members.remove(socket) }
        FaultPoint.linkDetached.hit()
        try Pin.remove(directory.link)
    }

    func repinLink() throws {}
}
