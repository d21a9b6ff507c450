// SPDX-License-Identifier: Apache-2.0

/// Makes one program of two: a stage of ours, and an adopted object's program in the place of its body.
///
/// The stage is bpf/SluiceObjects/xdp_adopt.bpf.c, in which a call of a helper that does not exist stands for the body.
struct Weaver {
    /// The number of that helper.
    static let body: Int32 = 0x51ce_0001
    /// The kernel's limit of a function's stack, in bytes.
    static let stackLimit = 512

    /// How the adopted program becomes the body.
    enum Form: Sendable {
        /// Its instructions take the call's place, and its `exit`s lead behind it: no call and no return, which cost
        /// 9 ns where returns are guarded. What the stage keeps in registers waits in the stack meanwhile, below what
        /// the program uses.
        case inline
        /// It becomes a function that the stage calls, unchanged. A *global* one: the verifier looks at it for itself
        /// and believes nothing of what it returns. Up to Linux 6.12 it would wrongly believe of a static one that
        /// tail-calls that it returns what stands behind the tail call. So it comes back from its own tail calls too.
        case call
    }

    let stage: ProgramCode
    let program: ProgramCode
    /// The adopted program's C name.
    let name: String
    let form: Form

    /// What to load instead of the stage.
    func weave() throws(BPFError) -> WovenCode {
        guard !program.instructions.contains(where: \.callsModule) else {
            throw failure("it calls a function of a kernel module, which is not supported")
        }
        guard let place = stage.instructions.firstIndex(where: { $0.helper == Self.body }) else {
            throw failure("the stage has no place for it")
        }
        let layout = form == .call ? Layout(call: place, stage, program) : try inlineLayout(at: place)
        return WovenCode(instructions: try instructions(layout), types: try types(layout))
    }

    private func inlineLayout(at place: Int) throws(BPFError) -> Layout {
        guard !stage.instructions[..<place].contains(where: \.touchesStack) else {
            throw failure("the stage keeps something in the stack that it would overwrite")
        }
        let kept = stage.registersKept(across: place)
        let depth = program.stackDepth
        guard depth + kept.count * 8 <= Self.stackLimit else {
            throw failure("it uses up to \(depth) bytes of the stack's \(Self.stackLimit)")
        }
        let slots = kept.enumerated().map { ($1, -depth - 8 * ($0 + 1)) }
        return Layout(
            inline: place, stage, program, save: slots.map { .save($0.0, at: $0.1) },
            restore: slots.map { .restore($0.0, from: $0.1) })
    }

    private func instructions(_ layout: Layout) throws(BPFError) -> [Instruction] {
        var result = [Instruction](repeating: Instruction(raw: 0), count: layout.count)
        for (index, instruction) in stage.instructions.enumerated() where layout.keeps(index) {
            result[layout.stage(index)] = try moved(instruction, index, layout.stage)
        }
        for (index, instruction) in program.instructions.enumerated() {
            result[layout.program(index)] = try moved(instruction, index, layout.program)
        }
        result.replaceSubrange(layout.before, with: layout.save)
        result.replaceSubrange(layout.after, with: layout.restore)
        if form == .inline { try turnExits(of: &result, layout) }
        return result
    }

    /// An instruction where it stands now, leading to where its target stands now.
    private func moved(
        _ instruction: Instruction, _ index: Int, _ place: (Int) -> Int
    ) throws(BPFError) -> Instruction {
        guard let distance = instruction.distance else { return instruction }
        let new = place(index + 1 + distance) - place(index) - 1
        guard let result = instruction.with(distance: new) else { throw failure("a jump in it would be too far") }
        return result
    }

    /// Makes jumps of the main function's exits. A jump reaches 32,767 instructions: one from farther away leads to
    /// another exit on the way, which has become a jump too.
    private func turnExits(of code: inout [Instruction], _ layout: Layout) throws(BPFError) {
        var steps = [layout.after.lowerBound]
        for index in (0..<program.mainCount).reversed() where program.instructions[index].isExit {
            let place = layout.program(index)
            guard let step = steps.first(where: { $0 - place - 1 <= Int(Int16.max) }) else {
                throw failure("one of its exits is too far from its end")
            }
            code[place] = .jump(distance: Int16(step - place - 1))
            steps.append(place)
        }
    }

    private func types(_ layout: Layout) throws(BPFError) -> WovenTypes {
        // The object's own types come first, so that their ids, which its instructions may hold, stay as they are.
        let merge = try TypeMerge(base: program.btf, object: name)
        let first = try merge.add(stage.btf)
        var functions = stage.functions.map {
            ProgramCode.Place(offset: UInt32(layout.stage(Int($0.offset))), type: $0.type + first)
        }
        if form == .call {
            // Whatever its own type says of its context: a global function's must be the one of the hook.
            let main = try merge.addFunction(name, like: functions[0].type)
            functions.append(.init(offset: UInt32(layout.program(0)), type: main))
        }
        if program.functions.isEmpty {
            // The kernel wants to hear of all functions or of none.
            for start in program.functionStarts.dropFirst() {
                functions.append(
                    .init(offset: UInt32(layout.program(start)), type: try merge.addUntyped("subprogram_\(start)")))
            }
        } else {
            functions += program.functions.dropFirst().map {
                .init(offset: UInt32(layout.program(Int($0.offset))), type: $0.type)
            }
        }
        var lines: [ProgramCode.Line] = []
        if !program.lines.isEmpty {
            lines = try merge.translate(stage.lines, from: stage.btf).map { $0.moved(to: layout.stage) }
            lines += program.lines.map { $0.moved(to: layout.program) }
        }
        return WovenTypes(
            functions: functions.sorted { $0.offset < $1.offset }, lines: lines.sorted { $0.offset < $1.offset },
            btf: try merge.load())
    }

    private func failure(_ cause: String) -> BPFError { BPFError("weave", "\"\(name)\"", cause: cause) }
}
