// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF

/// What the kernel is told of a woven program's functions and lines.
struct WovenTypes: ~Copyable {
    var functions: [ProgramCode.Place]
    var lines: [ProgramCode.Line]
    var btf: OwnedFD
}

/// A woven program, in the shape that libbpf takes. Its type information is in the kernel as long as it lives.
final class WovenCode {
    private let instructions: UnsafeMutableBufferPointer<Instruction>
    private let functions: UnsafeMutableBufferPointer<ProgramCode.Place>
    private let lines: UnsafeMutableBufferPointer<ProgramCode.Line>
    private let types: WovenTypes

    init(instructions: [Instruction], types: consuming WovenTypes) {
        self.instructions = Self.copy(instructions)
        functions = Self.copy(types.functions)
        lines = Self.copy(types.lines)
        self.types = types
    }

    deinit {
        instructions.deallocate()
        functions.deallocate()
        lines.deallocate()
    }

    /// Puts it in the place of what libbpf was about to load; it must live until that is done.
    func replace(_ program: OpaquePointer, _ options: UnsafeMutablePointer<bpf_prog_load_opts>) -> Int32 {
        options.pointee.prog_btf_fd = UInt32(types.btf.raw)
        options.pointee.func_info = UnsafeRawPointer(functions.baseAddress)
        options.pointee.func_info_cnt = UInt32(functions.count)
        options.pointee.func_info_rec_size = UInt32(MemoryLayout<ProgramCode.Place>.stride)
        options.pointee.line_info = UnsafeRawPointer(lines.baseAddress)
        options.pointee.line_info_cnt = UInt32(lines.count)
        options.pointee.line_info_rec_size = UInt32(MemoryLayout<ProgramCode.Line>.stride)
        return instructions.withMemoryRebound(to: bpf_insn.self) {
            bpf_program__set_insns(program, $0.baseAddress, $0.count)
        }
    }

    /// Has libbpf load next to nothing in the place of a program.
    static func leaveOut(_ program: OpaquePointer, _ options: UnsafeMutablePointer<bpf_prog_load_opts>) -> Int32 {
        options.pointee.func_info_cnt = 0
        options.pointee.line_info_cnt = 0
        // r0 = 0; exit. libbpf copies it.
        var nothing = [Instruction(code: 0xb7), Instruction(code: 0x95)]
        return nothing.withUnsafeMutableBufferPointer { code in
            code.withMemoryRebound(to: bpf_insn.self) { bpf_program__set_insns(program, $0.baseAddress, $0.count) }
        }
    }

    private static func copy<Element>(_ array: [Element]) -> UnsafeMutableBufferPointer<Element> {
        let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: array.count)
        _ = buffer.initialize(from: array)
        return buffer
    }
}
