// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

extension BPFLink {
    /// Makes a program one that can be asked to walk a map (`BPF_TRACE_ITER`; Linux 5.9 for the storage of sockets).
    public static func walking(
        _ map: borrowing BPFMap, by program: borrowing BPFProgram
    ) throws(BPFError) -> BPFLink {
        var target = bpf_iter_link_info()
        target.map.map_fd = UInt32(map.fd.raw)
        let raw = withUnsafeMutablePointer(to: &target) { target in
            withOptions(bpf_link_create_opts.self, size: \.sz) { options in
                options.pointee.iter_info = target
                options.pointee.iter_info_len = UInt32(MemoryLayout<bpf_iter_link_info>.size)
                return bpf_link_create(program.fd.raw, 0, BPF_TRACE_ITER, options)
            }
        }
        guard raw >= 0 else { throw BPFError("walk", "map \"\(map.name)\"", errno: Errno(rawValue: -raw)) }
        return BPFLink(taking: OwnedFD(taking: raw))
    }

    /// What such a program writes on one walk (`BPF_ITER_CREATE`).
    public func walk() throws(BPFError) -> [UInt8] {
        let raw = bpf_iter_create(fd.raw)
        guard raw >= 0 else { throw BPFError("begin", "a walk", errno: Errno(rawValue: -raw)) }
        let walk = OwnedFD(taking: raw)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(walk.raw, &chunk, chunk.count)
            if count < 0, errno == EAGAIN || errno == EINTR { continue }
            guard count >= 0 else { throw BPFError("read", "a walk", errno: .current) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
    }
}
