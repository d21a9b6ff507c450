// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

/// A program in the kernel, held by a descriptor.
public struct BPFProgram: ~Copyable, Sendable {
    public let fd: OwnedFD
    /// The kernel's 15 characters of its name.
    public let name: String
    /// The kernel's id: for comparing and output only, it changes at every load.
    public let id: UInt32
    /// The kernel's hash of its instructions, in hexadecimal: without the maps, the constants and the type information.
    public let tag: String

    /// Takes over a descriptor of a program and asks the kernel what it is.
    public init(taking fd: consuming OwnedFD, described object: String = "program") throws(BPFError) {
        var info = bpf_prog_info()
        var length = UInt32(MemoryLayout<bpf_prog_info>.size)
        let result = bpf_obj_get_info_by_fd(fd.raw, &info, &length)
        guard result == 0 else { throw BPFError("read info of", object, errno: Errno(rawValue: -result)) }
        self.name = withUnsafeBytes(of: info.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        self.id = info.id
        self.tag = hexadecimal(withUnsafeBytes(of: info.tag) { Array($0) })
        self.fd = fd
    }

    /// Opens a pinned program. Needs only the file's permission (Linux 6.1).
    public static func pinned(at path: String) throws(BPFError) -> BPFProgram {
        try BPFProgram(taking: Pin.open(path), described: path)
    }

    /// The program with a kernel id, nil when there is none (`BPF_PROG_GET_FD_BY_ID`; needs `CAP_SYS_ADMIN`).
    public static func withID(_ id: UInt32) -> BPFProgram? {
        let raw = bpf_prog_get_fd_by_id(id)
        guard raw >= 0 else { return nil }
        return try? BPFProgram(taking: OwnedFD(taking: raw))
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

    /// The ids of the maps it uses or was bound to. Needs no capability.
    public func mapIDs() throws(BPFError) -> Set<UInt32> {
        var ids = [UInt32](repeating: 0, count: 64)
        while true {
            let room = ids.count
            var info = bpf_prog_info()
            var length = UInt32(MemoryLayout<bpf_prog_info>.size)
            let result = ids.withUnsafeMutableBufferPointer { space in
                info.nr_map_ids = UInt32(room)
                info.map_ids = UInt64(UInt(bitPattern: space.baseAddress))
                return bpf_obj_get_info_by_fd(fd.raw, &info, &length)
            }
            guard result == 0 else {
                throw BPFError("read info of", "program \"\(name)\"", errno: Errno(rawValue: -result))
            }
            let count = Int(info.nr_map_ids)
            if count <= room { return Set(ids.prefix(count)) }
            ids = [UInt32](repeating: 0, count: count)
        }
    }

    /// Ties a map to the program's life, though it does not use it (`BPF_PROG_BIND_MAP`, Linux 5.10).
    public func bind(_ map: borrowing BPFMap) throws(BPFError) {
        let result = bpf_prog_bind_map(fd.raw, map.fd.raw, nil)
        guard result == 0 else { throw BPFError("bind map to", "program \"\(name)\"", errno: Errno(rawValue: -result)) }
    }

    /// What a test run gave.
    public struct TestRun: Sendable {
        /// The program's return value: a verdict.
        public var returnValue: UInt32
        /// The packet as the program left it.
        public var output: [UInt8]
        /// Nanoseconds a run, the mean of all repeats.
        public var duration: UInt32
    }

    /// Runs the program on a packet, in the kernel, touching no interface (`BPF_PROG_TEST_RUN`).
    /// - Parameters:
    ///   - packet: a frame from the Ethernet header on, at least 14 bytes; above a page's linear part only for
    ///     programs that take frags.
    ///   - interface: the index of one that it shall seem to have come in by (Linux 5.15); nil for `lo`.
    public func testRun(packet: [UInt8], repeat count: Int = 1, interface: Int? = nil) throws(BPFError) -> TestRun {
        var context = interface.map { index in
            withUnsafeBytes(of: Self.context(packet: packet, interface: index)) { Array($0) }
        }
        return try testRun(packet, repeat: count, context: &context, tellsContext: false)
    }

    /// Runs a program of one of the types whose context is a `struct __sk_buff` once on a packet.
    /// - Parameter context: what the kernel is to know of the packet besides, as that struct lies in memory: the mark, the
    ///   control words and the number of segments count, all else is 0. Then what the program left there.
    public func testRun(packet: [UInt8], context: inout [UInt8]) throws(BPFError) -> TestRun {
        var given: [UInt8]? = context
        defer { context = given ?? context }
        return try testRun(packet, repeat: 1, context: &given, tellsContext: true)
    }

    private func testRun(
        _ packet: [UInt8], repeat count: Int, context: inout [UInt8]?, tellsContext: Bool
    ) throws(BPFError) -> TestRun {
        var output = [UInt8](repeating: 0, count: packet.count + 512)
        var space = context ?? []
        let fd = fd.raw
        let (result, ran) = packet.withUnsafeBytes { input in
            output.withUnsafeMutableBytes { output in
                space.withUnsafeMutableBytes { context in
                    withOptions(bpf_test_run_opts.self, size: \.sz) { options in
                        options.pointee.repeat = Int32(count)
                        options.pointee.data_in = input.baseAddress
                        options.pointee.data_size_in = UInt32(input.count)
                        options.pointee.data_out = output.baseAddress
                        options.pointee.data_size_out = UInt32(output.count)
                        if !context.isEmpty {
                            options.pointee.ctx_in = UnsafeRawPointer(context.baseAddress)
                            options.pointee.ctx_size_in = UInt32(context.count)
                        }
                        if tellsContext {
                            options.pointee.ctx_out = context.baseAddress
                            options.pointee.ctx_size_out = UInt32(context.count)
                        }
                        return (bpf_prog_test_run_opts(fd, options), options.pointee)
                    }
                }
            }
        }
        guard result == 0 else { throw BPFError("test-run", "program \"\(name)\"", errno: Errno(rawValue: -result)) }
        if tellsContext { context = space }
        return TestRun(
            returnValue: ran.retval, output: Array(output.prefix(Int(ran.data_size_out))), duration: ran.duration)
    }

    /// What says that a packet came in by an interface.
    private static func context(packet: [UInt8], interface: Int) -> xdp_md {
        var context = xdp_md()
        context.data_end = UInt32(packet.count)
        context.ingress_ifindex = UInt32(interface)
        return context
    }

    /// Runs a program of type `BPF_PROG_TYPE_SYSCALL` once (`BPF_PROG_TEST_RUN`, Linux 5.14). No signal ends the run
    /// before the program does.
    /// - Parameter context: what the program finds in its context, up to 64 KiB; then what it left there.
    public func run(context: inout [UInt8]) throws(BPFError) {
        let fd = fd.raw
        let result = context.withUnsafeMutableBytes { memory in
            withOptions(bpf_test_run_opts.self, size: \.sz) { options in
                options.pointee.ctx_in = UnsafeRawPointer(memory.baseAddress)
                options.pointee.ctx_size_in = UInt32(memory.count)
                return bpf_prog_test_run_opts(fd, options)
            }
        }
        guard result == 0 else { throw BPFError("run", "program \"\(name)\"", errno: Errno(rawValue: -result)) }
    }

    /// Sends `count` copies of a packet through an XDP program as if they had come in on an interface, and does
    /// what the program says: `XDP_TX` puts them on the wire (`BPF_F_TEST_XDP_LIVE_FRAMES`, Linux 5.18).
    public func sendLiveFrames(packet: [UInt8], count: Int, interface: Int, batch: Int = 64) throws(BPFError) {
        let context = Self.context(packet: packet, interface: interface)
        let fd = fd.raw
        let result = packet.withUnsafeBytes { input in
            withUnsafeBytes(of: context) { context in
                withOptions(bpf_test_run_opts.self, size: \.sz) { options in
                    options.pointee.repeat = Int32(count)
                    options.pointee.flags = UInt32(1 << 1)  // BPF_F_TEST_XDP_LIVE_FRAMES
                    options.pointee.batch_size = UInt32(batch)
                    options.pointee.data_in = input.baseAddress
                    options.pointee.data_size_in = UInt32(input.count)
                    options.pointee.ctx_in = context.baseAddress
                    options.pointee.ctx_size_in = UInt32(context.count)
                    return bpf_prog_test_run_opts(fd, options)
                }
            }
        }
        guard result == 0 else {
            throw BPFError("send live frames by", "program \"\(name)\"", errno: Errno(rawValue: -result))
        }
    }
}
