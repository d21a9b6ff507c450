// SPDX-License-Identifier: Apache-2.0

/// One BPF instruction, `struct bpf_insn`: eight bytes. Only what moving code about needs to know of it.
struct Instruction: Sendable, Equatable {
    var raw: UInt64

    // <linux/bpf.h> and <linux/bpf_common.h>.
    private static let call: UInt8 = 0x85  // BPF_JMP | BPF_CALL
    private static let loadDoubleWord: UInt8 = 0x18  // BPF_LD | BPF_IMM | BPF_DW
    private static let longJump: UInt8 = 0x06  // BPF_JMP32 | BPF_JA
    private static let subprogram: UInt8 = 1  // BPF_PSEUDO_CALL
    private static let kernelFunction: UInt8 = 2  // BPF_PSEUDO_KFUNC_CALL
    private static let function: UInt8 = 4  // BPF_PSEUDO_FUNC
    static let framePointer: UInt8 = 10

    init(raw: UInt64) { self.raw = raw }

    init(code: UInt8, destination: UInt8 = 0, source: UInt8 = 0, offset: Int16 = 0, immediate: Int32 = 0) {
        raw =
            UInt64(code) | UInt64(destination | source << 4) << 8 | UInt64(UInt16(bitPattern: offset)) << 16
            | UInt64(UInt32(bitPattern: immediate)) << 32
    }

    static func call(distance: Int32) -> Instruction {
        Instruction(code: call, source: subprogram, immediate: distance)
    }

    /// `*(u64 *)(r10 + offset) = register`
    static func save(_ register: UInt8, at offset: Int) -> Instruction {
        Instruction(code: 0x7b, destination: framePointer, source: register, offset: Int16(offset))
    }

    /// `register = *(u64 *)(r10 + offset)`
    static func restore(_ register: UInt8, from offset: Int) -> Instruction {
        Instruction(code: 0x79, destination: register, source: framePointer, offset: Int16(offset))
    }

    static func jump(distance: Int16) -> Instruction { Instruction(code: 0x05, offset: distance) }

    var code: UInt8 { UInt8(truncatingIfNeeded: raw) }
    var destination: UInt8 { UInt8(truncatingIfNeeded: raw >> 8) & 15 }
    var source: UInt8 { UInt8(truncatingIfNeeded: raw >> 12) & 15 }
    var offset: Int16 { Int16(truncatingIfNeeded: raw >> 16) }
    var immediate: Int32 { Int32(truncatingIfNeeded: raw >> 32) }

    private var isJumpClass: Bool { [5, 6].contains(code & 7) }

    /// Whether it takes two places: a 64-bit constant.
    var isWide: Bool { code == Self.loadDoubleWord }
    var isExit: Bool { code == 0x95 }
    /// The number of the helper that it calls.
    var helper: Int32? { code == Self.call && source == 0 ? immediate : nil }
    /// Whether it calls a function of a kernel module, which libbpf lets go of when the object is loaded.
    var callsModule: Bool { code == Self.call && source == Self.kernelFunction && offset != 0 }
    /// Whether it calls a function of the same program, or takes its address.
    var refersToFunction: Bool {
        (code == Self.call && source == Self.subprogram) || (isWide && source == Self.function)
    }

    /// How far behind the next instruction the one is that it may lead to or refer to; nil when it goes on as usual.
    var distance: Int? {
        if refersToFunction || code == Self.longJump { return Int(immediate) }
        guard isJumpClass, code & 0xf0 != 0x80, code & 0xf0 != 0x90 else { return nil }
        return Int(offset)
    }

    /// The same with another distance; nil when it has no room for it.
    func with(distance: Int) -> Instruction? {
        var result = self
        if refersToFunction || code == Self.longJump {
            guard let value = Int32(exactly: distance) else { return nil }
            result.raw = raw & 0xffff_ffff | UInt64(UInt32(bitPattern: value)) << 32
        } else {
            guard let value = Int16(exactly: distance) else { return nil }
            result.raw = raw & ~0xffff_0000 | UInt64(UInt16(bitPattern: value)) << 16
        }
        return result
    }

    /// The offset of a load or store, with the register it counts from.
    var access: (base: UInt8, offset: Int)? {
        switch code & 7 {
        case 1: (source, Int(offset))  // BPF_LDX
        case 2, 3: (destination, Int(offset))  // BPF_ST, BPF_STX
        default: nil
        }
    }

    /// Whether it loads from or stores to the stack by the frame pointer, or takes its address.
    var touchesStack: Bool {
        access?.base == Self.framePointer || (code == 0xbf && source == Self.framePointer)
    }

    /// Whether it may give a register a value: a load, or arithmetic.
    func sets(_ register: UInt8) -> Bool { [0, 1, 4, 7].contains(code & 7) && destination == register }
}
