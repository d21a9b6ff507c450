// SPDX-License-Identifier: Apache-2.0

internal import CKernel
internal import CLibBPF
internal import Glibc

/// Tries what a kernel can do, by doing it in small: each probe makes something that nothing uses, and it is gone when
/// the probe returns. Nothing is attached to anything.
public enum KernelProbe {
    /// `return 1`, which every kind of program may say.
    private static let returnOne: [UInt64] = [0x1_0000_00b7, 0x95]

    /// Loads a program of a kind (`BPF_PROG_LOAD`).
    public static func load(_ kind: ProgramKind) throws(BPFError) { _ = try program(kind, returnOne) }

    /// Loads a program that swaps a number with the one it expects in one step (`BPF_CMPXCHG`).
    public static func compareAndExchange() throws(BPFError) {
        _ = try program(
            .socketFilter,
            [
                0xfff8_0a7a,  // *(u64 *)(r10 - 8) = 0
                0x00b7,  // r0 = 0
                0x1_0000_01b7,  // r1 = 1
                0xf1_fff8_1adb,  // r0 = cmpxchg((u64 *)(r10 - 8), r0, r1)
                0x00b7, 0x95,
            ])
    }

    /// Whether XDP programs may call a helper: loads one that calls it with nothing, and looks at why that is refused.
    public static func helper(_ number: Int32) throws(BPFError) {
        do throws(BPFError) {
            _ = try program(.xdp, [UInt64(UInt32(bitPattern: number)) << 32 | 0x85, 0x1_0000_00b7, 0x95])
        } catch {
            let log = error.verifierLog ?? ""
            let isUnknown = ["invalid func", "unknown func", "cannot use helper"].contains { log.contains($0) }
            if isUnknown || log.isEmpty { throw error }
        }
    }

    /// Asks for a tcx link to an interface that cannot be: a kernel that knows the attach type looks for the interface
    /// (`ENODEV`), one that does not looks no further (`EINVAL`).
    public static func tcxLink() throws(BPFError) {
        let program = try program(.tcx, returnOne)
        let raw = bpf_link_create(program.fd.raw, Int32.max, bpf_attach_type(ProgramKind.tcx.attachType), nil)
        if raw >= 0 { close(raw) }
        guard raw >= 0 || raw == -ENODEV else {
            throw BPFError("create link", "of the probe", errno: Errno(rawValue: -raw))
        }
    }

    /// Attaches a program to a function that the kernel has for its own tests and never calls (fentry): whether it
    /// builds trampolines.
    public static func trampoline() throws(BPFError) {
        let function = libbpf_find_vmlinux_btf_id("bpf_fentry_test1", BPF_TRACE_FENTRY)
        guard function > 0 else {
            throw BPFError("find", "bpf_fentry_test1", cause: "the kernel's BTF does not have it")
        }
        // A tracing program returns 0.
        let program = try program(.tracing, [0x00b7, 0x95], function: UInt32(function))
        let raw = bpf_raw_tracepoint_open(nil, program.fd.raw)
        guard raw >= 0 else { throw BPFError("attach", "fentry", errno: Errno(rawValue: -raw)) }
        close(raw)
    }

    /// Binds a map to a program (`BPF_PROG_BIND_MAP`).
    public static func bindMap() throws(BPFError) {
        let map = try BPFMap.create("sluice_probe", type: .array, keySize: 4, valueSize: 4, maxEntries: 1)
        try program(.xdp, returnOne).bind(map)
    }

    /// Puts an XDP program into a program array, and freezes that.
    public static func programArray() throws(BPFError) {
        let array = try BPFMap.create("sluice_probe", type: .programArray, keySize: 4, valueSize: 4, maxEntries: 1)
        let program = try program(.xdp, returnOne)
        try array.update(key: bytes(of: UInt32(0)), value: bytes(of: program.fd.raw))
        try array.freeze()
    }

    /// Runs an XDP program on a packet (`BPF_PROG_TEST_RUN`).
    public static func testRun() throws(BPFError) {
        _ = try program(.xdp, returnOne).testRun(packet: [UInt8](repeating: 0, count: 64))
    }

    /// Waits for packets in flight (`membarrier(MEMBARRIER_CMD_GLOBAL)`), which kernels booted with `nohz_full` refuse.
    public static func membarrier() throws(BPFError) {
        guard ck_membarrier_global() == 0 else { throw BPFError("call", "membarrier", errno: .current) }
    }

    /// Makes a map of a type.
    public static func map(_ type: MapType) throws(BPFError) {
        let entries = type == .ringBuffer ? 65_536 : 4
        let keySize = type == .ringBuffer ? 0 : type == .lpmTrie ? 8 : 4
        let valueSize = type == .ringBuffer ? 0 : type.holdsDescriptors ? 4 : 8
        _ = try BPFMap.create(
            "sluice_probe", type: type, keySize: keySize, valueSize: valueSize, maxEntries: entries,
            noPreallocation: type == .lpmTrie)
    }

    /// Reads a map many entries at a time (`BPF_MAP_LOOKUP_BATCH`).
    public static func batch(_ type: MapType) throws(BPFError) {
        let map = try BPFMap.create("sluice_probe", type: type, keySize: 4, valueSize: 8, maxEntries: 4)
        guard try map.readsInBatches() else {
            throw BPFError("read", "map \"sluice_probe\"", errno: .invalid)
        }
    }

    private static func program(
        _ kind: ProgramKind, _ instructions: [UInt64], function: UInt32 = 0
    ) throws(BPFError) -> BPFProgram {
        var log = [CChar](repeating: 0, count: 4096)
        let raw = log.withUnsafeMutableBufferPointer { log in
            instructions.withUnsafeBytes { code in
                withOptions(bpf_prog_load_opts.self, size: \.sz) { options in
                    options.pointee.expected_attach_type = bpf_attach_type(kind.attachType)
                    options.pointee.prog_flags = kind.flags
                    options.pointee.attach_btf_id = function
                    options.pointee.log_buf = log.baseAddress
                    options.pointee.log_size = UInt32(log.count)
                    options.pointee.log_level = 1
                    return bpf_prog_load(
                        bpf_prog_type(kind.type), "sluice_probe", "GPL",
                        code.baseAddress!.assumingMemoryBound(to: bpf_insn.self), instructions.count, options)
                }
            }
        }
        guard raw >= 0 else {
            let said = String(decoding: log.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw BPFError(
                "load program", "of the probe", errno: Errno(rawValue: -raw), verifierLog: said.isEmpty ? nil : said)
        }
        return try BPFProgram(taking: OwnedFD(taking: raw))
    }
}
