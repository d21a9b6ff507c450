// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF

/// Has the kernel take the time of all BPF programs while this is there (`BPF_ENABLE_STATS`, Linux 5.8; needs
/// `CAP_SYS_ADMIN`). It costs each run some tens of nanoseconds.
public final class RunStatistics {
    private let descriptor: OwnedFD

    public init() throws(BPFError) {
        let raw = bpf_enable_stats(BPF_STATS_RUN_TIME)
        guard raw >= 0 else { throw BPFError("enable", "statistics of BPF programs", errno: Errno(rawValue: -raw)) }
        descriptor = OwnedFD(taking: raw)
    }

    /// How often a program was run while some were there, and how many nanoseconds that took; those of the programs that
    /// it called by tail calls are in it.
    public func read(_ program: borrowing BPFProgram) throws(BPFError) -> (runs: UInt64, nanoseconds: UInt64) {
        var info = bpf_prog_info()
        var length = UInt32(MemoryLayout<bpf_prog_info>.size)
        let result = bpf_obj_get_info_by_fd(program.fd.raw, &info, &length)
        guard result == 0 else {
            throw BPFError("read info of", "program \"\(program.name)\"", errno: Errno(rawValue: -result))
        }
        return (info.run_cnt, info.run_time_ns)
    }
}
