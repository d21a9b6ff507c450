// SPDX-License-Identifier: Apache-2.0

/// Where the instructions of a stage and of the program woven into it come to stand.
struct Layout {
    /// Instructions right before and right behind the program's main function; the call, where it is called.
    let save: [Instruction]
    let restore: [Instruction]
    /// The instruction of the stage that the body takes the place of.
    private let body: Int
    private let stageCount: Int
    private let programCount: Int
    /// How many of the program's instructions stand in the body's place, not behind the stage.
    private let inlined: Int

    /// The body is called: the program stands behind the stage.
    init(call body: Int, _ stage: ProgramCode, _ program: ProgramCode) {
        self.body = body
        stageCount = stage.instructions.count
        programCount = program.instructions.count
        inlined = 0
        save = [.call(distance: Int32(stageCount - body - 1))]
        restore = []
    }

    /// The main function stands in the body's place, the program's other functions behind the stage.
    init(
        inline body: Int, _ stage: ProgramCode, _ program: ProgramCode, save: [Instruction], restore: [Instruction]
    ) {
        self.body = body
        stageCount = stage.instructions.count
        programCount = program.instructions.count
        inlined = program.mainCount
        self.save = save
        self.restore = restore
    }

    private var grown: Int { save.count + inlined + restore.count - 1 }

    var count: Int { stageCount + grown + programCount - inlined }
    var before: Range<Int> { body..<body + save.count }
    var after: Range<Int> { before.upperBound + inlined..<before.upperBound + inlined + restore.count }

    /// Where an instruction of the stage stands. That of the body gives the first in its place.
    func stage(_ index: Int) -> Int { index <= body ? index : index + grown }

    /// Where an instruction of the program stands.
    func program(_ index: Int) -> Int {
        index < inlined ? before.upperBound + index : stageCount + grown + index - inlined
    }

    /// Whether an instruction of the stage is still there.
    func keeps(_ index: Int) -> Bool { index != body }
}
