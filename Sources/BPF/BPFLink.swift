// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

/// An attachment of a program to a hook, held by a descriptor; it ends when the last descriptor and pin go.
public struct BPFLink: ~Copyable, Sendable {
    public let fd: OwnedFD

    public init(taking fd: consuming OwnedFD) {
        self.fd = fd
    }

    public static func pinned(at path: String) throws(BPFError) -> BPFLink {
        BPFLink(taking: try Pin.open(path))
    }

    public func pin(at path: String) throws(BPFError) {
        try Pin.create(fd.raw, at: path)
    }

    /// Pins it in the place of whatever has that name, at once: a crash leaves the one or the other.
    public func pin(inPlaceOf path: String) throws(BPFError) {
        let aside = path + "_new"
        try Pin.remove(aside)
        try pin(at: aside)
        try Bpffs.rename(aside, to: path)
    }

    /// Moves the attachment to another program, at once (`BPF_LINK_UPDATE`).
    /// - Throws: `ERANGE` when the interface's MTU is too big for a program without frags.
    public func update(to program: borrowing BPFProgram) throws(BPFError) {
        let result = bpf_link_update(fd.raw, program.fd.raw, nil)
        guard result == 0 else { throw BPFError("update", "link", errno: Errno(rawValue: -result)) }
    }

    /// What a link is, as the kernel says (`BPF_OBJ_GET_INFO_BY_FD`).
    public struct Info: Sendable {
        /// The kernel's id of the link: for output only.
        public var id: UInt32
        /// The attached program's id.
        public var programID: UInt32
        /// Of a link to an interface: its index in its own namespace; 0 when the interface has gone.
        public var interface: Int
        /// Of a link to a cgroup: the cgroup's id; 0 when that has gone.
        public var cgroup: UInt64
        /// Whether what it attaches to is still there.
        public var isAttached: Bool { interface != 0 || cgroup != 0 }
    }

    public func info() throws(BPFError) -> Info {
        var info = bpf_link_info()
        var length = UInt32(MemoryLayout<bpf_link_info>.size)
        let result = bpf_obj_get_info_by_fd(fd.raw, &info, &length)
        guard result == 0 else { throw BPFError("read info of", "link", errno: Errno(rawValue: -result)) }
        let isCgroup = info.type == BPF_LINK_TYPE_CGROUP.rawValue
        return Info(
            id: info.id, programID: info.prog_id, interface: isCgroup ? 0 : Int(info.xdp.ifindex),
            cgroup: isCgroup ? info.cgroup.cgroup_id : 0)
    }

    /// Ends the attachment for every holder of the link (`BPF_LINK_DETACH`, Linux 5.9).
    public func detach() throws(BPFError) {
        let result = bpf_link_detach(fd.raw)
        guard result == 0 else { throw BPFError("detach", "link", errno: Errno(rawValue: -result)) }
    }
}

extension BPFLink {
    /// The link by which a program is attached to an interface or a cgroup, found among all of the machine's links
    /// (`BPF_LINK_GET_NEXT_ID`; needs `CAP_SYS_ADMIN`). Nil when it was attached without a link, or may not be seen.
    /// - Throws: when there are two: a link does not tell its network namespace, and an interface's index is the same
    ///   in many.
    public static func find(program: UInt32, interface: Int = 0, cgroup: UInt64 = 0) throws(BPFError) -> BPFLink? {
        var id: UInt32 = 0
        var found: BPFLink?
        while bpf_link_get_next_id(id, &id) == 0 {
            let raw = bpf_link_get_fd_by_id(id)
            guard raw >= 0 else { continue }
            let link = BPFLink(taking: OwnedFD(taking: raw))
            guard let info = try? link.info(), info.programID == program, info.interface == interface,
                info.cgroup == cgroup
            else { continue }
            if case .some = found {
                throw BPFError(
                    "find the link of", "program #\(program)",
                    cause: "interfaces #\(interface) of two network namespaces run it; detach it by hand (bpftool link)"
                )
            }
            found = consume link
        }
        return found
    }
}
