// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF

/// A program as libbpf hands it to the kernel: CO-RE and relocations done, its subprograms behind it, its maps in it by
/// their descriptors. Good only as long as the object it came from lives, and with it those descriptors.
public struct ProgramCode: Sendable {
    var instructions: [Instruction]
    /// Where each function begins, and the id of its `BTF_KIND_FUNC` in ``btf``; empty when the object has none.
    var functions: [Place]
    /// The source lines; ``Place/type`` is not used.
    var lines: [Line]
    /// The object's type information as the kernel got it; empty when it has none.
    var btf: [UInt8]
    /// How many bytes of stack the main function uses, by the verifier's account; nil when it has given none.
    var stackSeen: Int?

    struct Place: Sendable {
        var offset: UInt32
        var type: UInt32
    }

    /// `struct bpf_line_info`; names are offsets into the strings of ``btf``.
    struct Line: Sendable {
        var offset: UInt32
        var file: UInt32
        var text: UInt32
        var column: UInt32

        func moved(to place: (Int) -> Int) -> Line {
            Line(offset: UInt32(place(Int(offset))), file: file, text: text, column: column)
        }
    }

    /// Copies what libbpf is about to load.
    init(_ program: OpaquePointer, _ options: bpf_prog_load_opts, btf: [UInt8]) {
        let count = Int(bpf_program__insn_cnt(program))
        instructions = UnsafeRawBufferPointer(
            start: bpf_program__insns(program), count: count * MemoryLayout<Instruction>.size
        ).withMemoryRebound(to: Instruction.self, Array.init)
        functions = records(options.func_info, options.func_info_cnt, size: options.func_info_rec_size, words: 2)
            .map { Place(offset: $0[0], type: $0[1]) }
        lines = records(options.line_info, options.line_info_cnt, size: options.line_info_rec_size, words: 4)
            .map { Line(offset: $0[0], file: $0[1], text: $0[2], column: $0[3]) }
        self.btf = btf
    }
}

extension ProgramCode {
    /// Whether any of it makes tail calls of its own.
    public var tailCalls: Bool { instructions.contains { $0.helper == 12 } }  // BPF_FUNC_tail_call

    /// Where its functions begin, the main one first: as type information says, or else by who is called.
    var functionStarts: [Int] {
        guard functions.isEmpty else { return functions.map { Int($0.offset) }.sorted() }
        var starts: Set = [0]
        for (index, instruction) in instructions.enumerated() where instruction.refersToFunction {
            starts.insert(index + 1 + (instruction.distance ?? 0))
        }
        return starts.sorted()
    }

    /// How many instructions the main function has.
    var mainCount: Int { functionStarts.dropFirst().first ?? instructions.count }

    /// How many bytes of stack the main function may use, in eights: what the verifier saw, and no less than it stores or
    /// loads at the frame pointer, as the verifier does not count what it means to leave out (`bpf_fastcall`).
    var stackDepth: Int {
        let direct = instructions[..<mainCount].compactMap { instruction -> Int? in
            guard let (base, offset) = instruction.access, base == Instruction.framePointer else { return nil }
            return -offset
        }
        return (max(direct.max() ?? 0, stackSeen ?? Weaver.stackLimit) + 7) & ~7
    }

    /// The registers that calls preserve, which are set before an instruction and used behind it.
    func registersKept(across place: Int) -> [UInt8] {
        (6...9).filter { register in
            instructions[..<place].contains { $0.sets(register) }
                && instructions[(place + 1)...].contains { $0.destination == register || $0.source == register }
        }
    }
}

/// Records of 32-bit words, as wide as whoever wrote the object made them.
private func records(_ start: UnsafeRawPointer?, _ count: UInt32, size: UInt32, words: Int) -> [[UInt32]] {
    guard let start, Int(size) >= words * 4 else { return [] }
    return (0..<Int(count)).map { record in
        (0..<words).map { start.loadUnaligned(fromByteOffset: record * Int(size) + $0 * 4, as: UInt32.self) }
    }
}
