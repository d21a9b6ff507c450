// SPDX-License-Identifier: Apache-2.0

internal import CKernel
internal import CLibBPF
internal import Glibc

/// Where an XDP program runs.
public enum XDPMode: String, Sendable, CaseIterable {
    /// In the driver, before a socket buffer exists.
    case native
    /// In the stack, for drivers without native XDP: slower, and after GRO.
    case generic
}

/// The XDP hook of an interface. All calls look at the calling thread's network namespace.
public enum XDP {
    /// An interface's index; nil when there is none of that name.
    public static func interfaceIndex(_ name: String) -> Int? {
        let index = if_nametoindex(name)
        return index == 0 ? nil : Int(index)
    }

    /// An interface's MTU in bytes; nil when there is none of that name.
    public static func mtu(_ name: String) -> Int? {
        let mtu = ck_interface_mtu(name)
        return mtu < 0 ? nil : Int(mtu)
    }

    /// The program on an interface, whoever attached it.
    public struct Attached: Sendable, Hashable {
        public var programID: UInt32
        public var mode: XDPMode
    }

    /// Which programs an interface runs, native one first; empty when none.
    public static func attached(to interface: Int) throws(BPFError) -> [Attached] {
        let (result, options) = withOptions(bpf_xdp_query_opts.self, size: \.sz) { options in
            let (result, _) = LibbpfLog.capture { bpf_xdp_query(Int32(interface), 0, options) }
            return (result, options.pointee)
        }
        guard result == 0 else {
            throw BPFError("query XDP of", "interface #\(interface)", errno: Errno(rawValue: -result))
        }
        // Links count as their mode's program too. With one program only, just `prog_id` and the mode are filled in.
        switch Int(options.attach_mode) {
        case XDP_ATTACHED_NONE_VALUE: return []
        case XDP_ATTACHED_SKB_VALUE: return [Attached(programID: options.prog_id, mode: .generic)]
        case XDP_ATTACHED_MULTI_VALUE:
            return [(options.drv_prog_id, XDPMode.native), (options.skb_prog_id, .generic)]
                .filter { $0.0 != 0 }.map { Attached(programID: $0.0, mode: $0.1) }
        default: return [Attached(programID: options.prog_id, mode: .native)]
        }
    }

    /// Attaches a program by a link (`BPF_LINK_CREATE`, Linux 5.9).
    /// - Throws: `EBUSY` or `EEXIST` when another program stands there, `EOPNOTSUPP` when the driver has no native
    ///   XDP, `ERANGE` when the MTU is too big for a program without frags.
    public static func attach(
        _ program: borrowing BPFProgram, to interface: Int, mode: XDPMode
    ) throws(BPFError) -> BPFLink {
        let fd = program.fd.raw
        let raw = withOptions(bpf_link_create_opts.self, size: \.sz) { options in
            // XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE
            options.pointee.flags = mode == .native ? UInt32(1 << 2) : UInt32(1 << 1)
            return bpf_link_create(fd, Int32(interface), BPF_XDP, options)
        }
        guard raw >= 0 else {
            throw BPFError("attach", "\(mode) XDP to interface #\(interface)", errno: Errno(rawValue: -raw))
        }
        return BPFLink(taking: OwnedFD(taking: raw))
    }

    /// Attaches a program without a link, as `ip link set dev IF xdp` does, where there is none yet.
    public static func attachWithoutLink(
        _ program: borrowing BPFProgram, to interface: Int, mode: XDPMode
    ) throws(BPFError) {
        let fd = program.fd.raw
        // XDP_FLAGS_UPDATE_IF_NOEXIST
        let flags = UInt32(1 << 0) | (mode == .native ? UInt32(1 << 2) : UInt32(1 << 1))
        let (result, said) = LibbpfLog.capture { bpf_xdp_attach(Int32(interface), fd, flags, nil) }
        guard result == 0 else {
            throw BPFError(
                "attach", "program \"\(program.name)\" to interface #\(interface) (\(mode))", cause: said.last,
                errno: Errno(rawValue: -result))
        }
    }

    /// Removes a program that was attached without a link (`ip link set dev IF xdp off`), but only that one.
    public static func remove(
        _ programID: UInt32, mode: XDPMode, from interface: Int
    ) throws(BPFError) {
        guard let program = BPFProgram.withID(programID) else {
            throw BPFError(
                "detach", "program #\(programID)", cause: "it has gone or its id may not be looked up")
        }
        let fd = program.fd.raw
        let flags = UInt32(1 << 4) | (mode == .native ? UInt32(1 << 2) : UInt32(1 << 1))  // XDP_FLAGS_REPLACE
        let (result, said) = withOptions(bpf_xdp_attach_opts.self, size: \.sz) { options in
            options.pointee.old_prog_fd = fd
            return LibbpfLog.capture { bpf_xdp_detach(Int32(interface), flags, options) }
        }
        guard result == 0 else {
            throw BPFError(
                "detach", "program \"\(program.name)\" (#\(programID))", cause: said.last,
                errno: Errno(rawValue: -result))
        }
    }
}

// <linux/if_link.h>'s anonymous enum, which libbpf's headers do not bring in.
private let XDP_ATTACHED_NONE_VALUE = 0
private let XDP_ATTACHED_SKB_VALUE = 2
private let XDP_ATTACHED_MULTI_VALUE = 4
