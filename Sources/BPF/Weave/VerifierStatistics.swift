// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

/// What the verifier tells of a program that libbpf is about to load (`BPF_LOG_STATS`, Linux 5.2). It takes a load of its
/// own: libbpf asks for no log before a refusal, and does not tell the object's licence.
struct VerifierStatistics {
    private let program: OpaquePointer
    private let options: bpf_prog_load_opts

    init(_ program: OpaquePointer, _ options: bpf_prog_load_opts) {
        self.program = program
        self.options = options
    }

    /// How many bytes of stack the main function uses; nil when the verifier refuses, or does not say.
    /// - Parameter license: some functions of the kernel are for GPL-compatible programs only.
    func stackDepth(license: String) -> Int? {
        var options = options
        let log = UnsafeMutableBufferPointer<CChar>.allocate(capacity: 1 << 16)
        defer { log.deallocate() }
        log[0] = 0
        options.log_level = 4
        options.log_buf = log.baseAddress
        options.log_size = UInt32(log.count)
        let fd = bpf_prog_load(
            bpf_program__type(program), bpf_program__name(program), license, bpf_program__insns(program),
            bpf_program__insn_cnt(program), &options)
        guard fd >= 0 else { return nil }
        close(fd)
        let text = String(decoding: log.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let lines = text.split(separator: "\n")
        // "stack depth 16+0+8", function by function; Linux 7.3 has a line for each, "subprog 0 (filter) ... stack 16".
        if let line = lines.last(where: { $0.hasPrefix("subprog 0 ") }) {
            return line.split(separator: " ").last.flatMap { Int($0) }
        }
        let key = "stack depth "
        return lines.last { $0.hasPrefix(key) }.flatMap { Int($0.dropFirst(key.count).prefix(while: \.isNumber)) }
    }
}
