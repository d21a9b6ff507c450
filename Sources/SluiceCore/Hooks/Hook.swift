// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import SluiceAPI
internal import StageKit

/// How the root of a hook comes to its place and off again, for one kind of hook: a file each. All else that is done with a
/// chain is the same at all of them.
protocol Hook {
    var directory: HookDirectory { get }

    /// Says whether the place is there.
    func checkPlace() throws(APIErrorBody)

    /// Whether packets may come in fragments there.
    func needsFrags() throws(APIErrorBody) -> Bool

    /// Says whether the root could be attached, without doing it: the place is there, and no one else's program that would
    /// be in the way, or one that can be replaced.
    func check(replace: Bool) throws(APIErrorBody)

    /// Attaches the pinned root, and ends the attachment that was before, if it is still somewhere.
    /// - Returns: How it is attached, where there are several ways, and what an operator ought to know.
    func attach(mode: AttachMode, replace: Bool) throws(APIErrorBody) -> (mode: String?, notes: [String])

    /// Looks where the root is.
    func survey() throws(BPFError) -> RootSurvey

    /// Whether the root is attached somewhere, by what is pinned; no namespace is entered for it.
    func isAttached() throws(BPFError) -> Bool

    /// Says why the root must not be taken off now: it could not be everywhere, and would do harm where it stays.
    /// - Returns: Where it stays without harm, a line each.
    func checkTakeOff(onFault: FaultVerdict) throws(APIErrorBody) -> [String]

    /// Takes the root off wherever it is, and removes what is pinned of the attachment.
    func takeOff() throws(BPFError)

    /// Finds the link of the attached root, whose pin has gone, and pins it again.
    func repinLink() throws

    /// Whether the place takes one program only, so that another one is in the way.
    static var isExclusive: Bool { get }

    // Of hooks where a program of others can be replaced or adopted.

    /// Says why what is to be put back by a detach cannot be; marks it for that.
    func markForRestoring() throws
    func unmarkForRestoring()
    /// Lets go of what was displaced. Says of what.
    func forgetDisplaced() throws(BPFError) -> [String]
    /// Attaches again what is marked for it. Says what.
    func restore() throws(APIErrorBody) -> [String]
    /// What was displaced here, a line each.
    func displacedNotes() throws(BPFError) -> [String]
    /// The chain whose root a program is, when it is one of Sluice's.
    func owner(of program: UInt32) -> HookID?
}

extension Hook {
    static var isExclusive: Bool { false }

    var hook: HookID { directory.hook }

    func needsFrags() throws(APIErrorBody) -> Bool { false }

    func check(replace: Bool) throws(APIErrorBody) { try checkPlace() }

    func checkTakeOff(onFault: FaultVerdict) throws(APIErrorBody) -> [String] { [] }

    func isAttached() throws(BPFError) -> Bool {
        guard Bpffs.exists(directory.link) else { return false }
        return try BPFLink.pinned(at: directory.link).info().isAttached
    }

    func takeOff() throws(BPFError) {
        guard Bpffs.exists(directory.link) else { return }
        try? BPFLink.pinned(at: directory.link).detach()
        FaultPoint.linkDetached.hit()
        try Pin.remove(directory.link)
    }

    func markForRestoring() throws {
        throw APIErrorBody.notFound("\(hook): no program was replaced here, so there is none to restore")
    }
    func unmarkForRestoring() {}
    func forgetDisplaced() throws(BPFError) -> [String] { [] }
    func restore() throws(APIErrorBody) -> [String] { [] }
    func displacedNotes() throws(BPFError) -> [String] { [] }
    func owner(of program: UInt32) -> HookID? { nil }

    /// The error of a link whose pin is lost and that nobody may look for.
    func lostLink(of root: UInt32) -> BPFError {
        BPFError(
            "find", "the link of \(hook)",
            cause: "it must be looked up by its id, which needs CAP_SYS_ADMIN (netns.conf.example in the "
                + "documentation's folder); who holds it: " + BPFLink.holders(of: root).joined(separator: ", "))
    }
}

extension HookDirectory {
    /// How its root is attached.
    var attachment: any Hook {
        switch (hook.kind.place, hook.kind) {
        case (.interface, .xdp): XDPHook(directory: self)
        case (.interface, _): TCHook(directory: self)
        case (.cgroup, _): CgroupHook(directory: self)
        case (.group, _): SocketGroupHook(directory: self)
        }
    }
}

extension String? {
    /// A mode behind what it is the mode of; nothing where there is but one.
    var inBrackets: String { map { " (\($0))" } ?? "" }
}
