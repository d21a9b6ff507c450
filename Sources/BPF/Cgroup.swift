// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

/// The hooks of a cgroup of version 2. Each takes several programs, and all of them are asked.
public enum Cgroup {
    /// Attaches a program by a link, beside those that are there (`BPF_LINK_CREATE`, `BPF_F_ALLOW_MULTI`, Linux 5.7).
    /// - Throws: `EPERM` when a program was attached there, or to a cgroup above, that tolerates no other; `EBADF` when the
    ///   folder is no cgroup of version 2.
    public static func attach(
        _ program: borrowing BPFProgram, as kind: ProgramKind, to folder: String
    ) throws(BPFError) -> BPFLink {
        let cgroup = try OwnedFD.open(folder, flags: O_RDONLY | O_DIRECTORY)
        let raw = bpf_link_create(program.fd.raw, cgroup.raw, bpf_attach_type(kind.attachType), nil)
        guard raw >= 0 else { throw BPFError("attach", "to cgroup \(folder)", errno: Errno(rawValue: -raw)) }
        return BPFLink(taking: OwnedFD(taking: raw))
    }

    /// Attaches a program without a link, beside those that are there (`BPF_PROG_ATTACH`, `BPF_F_ALLOW_MULTI`, Linux 4.15).
    public static func attachWithoutLink(
        _ program: borrowing BPFProgram, as kind: ProgramKind, to folder: String
    ) throws(BPFError) {
        let cgroup = try OwnedFD.open(folder, flags: O_RDONLY | O_DIRECTORY)
        let result = bpf_prog_attach(
            program.fd.raw, cgroup.raw, bpf_attach_type(kind.attachType), UInt32(BPF_F_ALLOW_MULTI))
        guard result == 0 else { throw BPFError("attach", "to cgroup \(folder)", errno: Errno(rawValue: -result)) }
    }

    /// Detaches a program that was attached without a link (`BPF_PROG_DETACH`).
    public static func remove(
        _ program: borrowing BPFProgram, as kind: ProgramKind, from folder: String
    ) throws(BPFError) {
        let cgroup = try OwnedFD.open(folder, flags: O_RDONLY | O_DIRECTORY)
        let result = bpf_prog_detach2(program.fd.raw, cgroup.raw, bpf_attach_type(kind.attachType))
        guard result == 0 else { throw BPFError("detach", "from cgroup \(folder)", errno: Errno(rawValue: -result)) }
    }

    /// The ids of the programs attached at a hook of a cgroup, whoever did (`BPF_PROG_QUERY`; needs `CAP_NET_ADMIN`), those of
    /// cgroups above left out.
    public static func programs(of kind: ProgramKind, at folder: String) throws(BPFError) -> [UInt32] {
        let cgroup = try OwnedFD.open(folder, flags: O_RDONLY | O_DIRECTORY)
        // The kernel's limit is 64.
        var ids = [UInt32](repeating: 0, count: 64)
        var count = UInt32(ids.count)
        let result = bpf_prog_query(cgroup.raw, bpf_attach_type(kind.attachType), 0, nil, &ids, &count)
        guard result == 0 else { throw BPFError("query", "cgroup \(folder)", errno: Errno(rawValue: -result)) }
        return Array(ids.prefix(Int(count)))
    }
}
