// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

/// The hooks of traffic control on an interface. All calls look at the calling thread's network namespace.
public enum TrafficControl {
    public enum Direction: String, Sendable {
        case ingress, egress
    }

    /// Attaches a program by a link, behind those that are there (tcx, Linux 6.6).
    /// - Throws: `EINVAL` on kernels without tcx.
    public static func attachByLink(
        _ program: borrowing BPFProgram, to interface: Int, _ direction: Direction
    ) throws(BPFError) -> BPFLink {
        let raw = bpf_link_create(program.fd.raw, Int32(interface), attachType(direction), nil)
        guard raw >= 0 else {
            throw BPFError("attach", "tcx \(direction) to interface #\(interface)", errno: Errno(rawValue: -raw))
        }
        return BPFLink(taking: OwnedFD(taking: raw))
    }

    /// Attaches a program without a link, behind those that are there (`BPF_PROG_ATTACH`, tcx, Linux 6.6).
    public static func attachWithoutLink(
        _ program: borrowing BPFProgram, to interface: Int, _ direction: Direction
    ) throws(BPFError) {
        let result = bpf_prog_attach(program.fd.raw, Int32(interface), attachType(direction), 0)
        guard result == 0 else {
            throw BPFError("attach", "tcx \(direction) to interface #\(interface)", errno: Errno(rawValue: -result))
        }
    }

    /// Detaches a program that was attached by tcx without a link (`BPF_PROG_DETACH`).
    public static func remove(
        _ program: borrowing BPFProgram, from interface: Int, _ direction: Direction
    ) throws(BPFError) {
        let result = bpf_prog_detach2(program.fd.raw, Int32(interface), attachType(direction))
        guard result == 0 else {
            throw BPFError("detach", "tcx \(direction) of interface #\(interface)", errno: Errno(rawValue: -result))
        }
    }

    /// `BPF_TCX_INGRESS` and `BPF_TCX_EGRESS`, which Debian 12's header lacks.
    private static func attachType(_ direction: Direction) -> bpf_attach_type {
        bpf_attach_type(direction == .ingress ? 46 : 47)
    }

    /// Attaches a program as a classifier of the clsact qdisc, with the direct action of its verdicts, and replaces the one
    /// at the same place (`RTM_NEWTFILTER`). Makes the qdisc if there is none.
    /// - Returns: Whether it made the qdisc.
    /// - Throws: `ENOENT` when the kernel lacks `sch_ingress` or `cls_bpf`.
    @discardableResult
    public static func attachByFilter(
        _ program: borrowing BPFProgram, to interface: Int, _ direction: Direction, priority: Int, handle: Int
    ) throws(BPFError) -> Bool {
        let fd = program.fd.raw
        let (made, madeSaid) = withHook(interface, direction) { hook in LibbpfLog.capture { bpf_tc_hook_create(hook) } }
        guard made == 0 || made == -EEXIST else {
            throw BPFError(
                "make", "the clsact qdisc of interface #\(interface)", cause: madeSaid.last,
                errno: Errno(rawValue: -made))
        }
        let (result, said) = withHook(interface, direction) { hook in
            withOptions(bpf_tc_opts.self, size: \.sz) { options in
                options.pointee.prog_fd = fd
                options.pointee.priority = UInt32(priority)
                options.pointee.handle = UInt32(handle)
                options.pointee.flags = UInt32(BPF_TC_F_REPLACE.rawValue)
                return LibbpfLog.capture { bpf_tc_attach(hook, options) }
            }
        }
        guard result == 0 else {
            throw BPFError(
                "attach", "a classifier to interface #\(interface) (\(direction))", cause: said.last,
                errno: Errno(rawValue: -result))
        }
        return made == 0
    }

    /// Removes the classifier at a place; quietly when there is none.
    public static func removeFilter(
        from interface: Int, _ direction: Direction, priority: Int, handle: Int
    ) throws(BPFError) {
        let (result, said) = withHook(interface, direction) { hook in
            withOptions(bpf_tc_opts.self, size: \.sz) { options in
                options.pointee.priority = UInt32(priority)
                options.pointee.handle = UInt32(handle)
                return LibbpfLog.capture { bpf_tc_detach(hook, options) }
            }
        }
        guard result == 0 || [-ENOENT, -EINVAL, -ENODEV].contains(result) else {
            throw BPFError(
                "remove", "the classifier of interface #\(interface) (\(direction))", cause: said.last,
                errno: Errno(rawValue: -result))
        }
    }

    /// Removes the clsact qdisc of an interface, with all classifiers that are still there; quietly when there is none.
    public static func removeQdisc(from interface: Int) throws(BPFError) {
        let (result, said) = withHook(interface, nil) { hook in LibbpfLog.capture { bpf_tc_hook_destroy(hook) } }
        guard result == 0 || [-ENOENT, -EINVAL, -ENODEV].contains(result) else {
            throw BPFError(
                "remove", "the clsact qdisc of interface #\(interface)", cause: said.last,
                errno: Errno(rawValue: -result))
        }
    }

    private static func withHook<Result>(
        _ interface: Int, _ direction: Direction?, _ body: (UnsafeMutablePointer<bpf_tc_hook>) -> Result
    ) -> Result {
        withOptions(bpf_tc_hook.self, size: \.sz) { hook in
            hook.pointee.ifindex = Int32(interface)
            hook.pointee.attach_point =
                switch direction {
                case .ingress: BPF_TC_INGRESS
                case .egress: BPF_TC_EGRESS
                case nil: bpf_tc_attach_point(BPF_TC_INGRESS.rawValue | BPF_TC_EGRESS.rawValue)
                }
            return body(hook)
        }
    }
}
