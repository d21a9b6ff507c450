// SPDX-License-Identifier: Apache-2.0

/// Which generations the packets of a hook go through.
struct SoakCourse: Equatable {
    var live: Int?
    /// What is tried on a share of the flows.
    var candidate: Int?
}

/// What must be the case, by what was done: the soak's own small idea of a chain.
struct SoakModel {
    /// How many generations the daemon is told to keep.
    static let keep = 3

    /// The highest number that a generation has had.
    var last = 0
    /// What is pinned.
    var generations: [Int: SoakRecipe] = [:]
    var live: Int?
    /// What is tried beside the live one; pinned, too.
    var candidate: Int?
    /// The generations in the order in which they last went live; those that have gone may be among them.
    var order: [Int] = []
    var hasInterface = true

    /// Whether packets go through the chain.
    var isFiltering: Bool { live != nil && hasInterface }
    /// Where a rollback goes.
    var previous: Int? { order.last { $0 != live && generations[$0] != nil } }
    /// The kept generations, oldest first.
    var kept: [Int] { generations.keys.filter { $0 != live && $0 != candidate }.sorted() }
    var recipe: SoakRecipe? { live.flatMap { generations[$0] } }

    /// What a change makes of it.
    func after(_ change: SoakChange) -> SoakModel {
        var model = self
        switch change {
        case .apply, .upgrade:
            model.build(change)
            model.promote()
        case .reapply: break
        case .rollback(nil) where candidate != nil: model.abort()
        case .rollback(let place):
            model.abort()
            if let target = place.map({ kept[$0] }) ?? previous { model.goLive(target) }
        case .gc: model.retire()
        case .detach:
            model.generations = [:]
            model.order = []
            model.live = nil
            model.candidate = nil
        case .canary(let change, let end):
            model.build(change)
            switch end {
            case .open: break
            case .promoted, .promotedAfterKill: model.promote()
            case .aborted: model.abort()
            }
        case .promote: model.promote()
        case .abort: model.abort()
        }
        return model
    }

    /// Makes a candidate of what a change builds.
    private mutating func build(_ change: SoakChange) {
        last += 1
        candidate = last
        switch change {
        case .apply(let recipe): generations[last] = recipe
        case .upgrade(let stage, let version):
            generations[last] = recipe
            if stage == "dos" { generations[last]?.dos = version } else { generations[last]?.tally = version }
        default: fatalError("\(change) builds nothing")
        }
    }

    private mutating func promote() {
        if let candidate { goLive(candidate) }
        candidate = nil
        retire()
    }

    /// Ends a canary, if there is one, for the live generation.
    mutating func abort() {
        if let candidate { generations[candidate] = nil }
        candidate = nil
    }

    private mutating func goLive(_ number: Int) {
        order.removeAll { $0 == number }
        order.append(number)
        live = number
    }

    private mutating func retire() {
        let spared = [live, previous, candidate]
        for number in generations.keys.sorted() where generations.count > Self.keep && !spared.contains(number) {
            generations[number] = nil
        }
    }

    /// What a change that was broken off and then settled by a restart has come to: all or nothing, but for generations
    /// beyond the number to keep, which may wait for the next change.
    /// - Parameters:
    ///   - seen: what the kernel has.
    ///   - last: the highest number in the records: that of a canary broken off is not given again.
    /// - Returns: Nil when it is neither the old nor the new.
    func settled(_ change: SoakChange, seen: SoakCourse, generations pinned: [Int], last: Int) -> SoakModel? {
        let done = after(change)
        // To go back to another generation while a canary is on is two moves.
        let ways = [done, self] + (candidate == nil ? [] : [after(.abort)])
        guard var model = ways.first(where: { $0.course == seen }), (self.last...done.last).contains(last) else {
            return nil
        }
        let needed = model.generations
        let possible = generations.filter { $0.key != candidate }.merging(needed) { old, _ in old }
        model.generations = possible.filter { pinned.contains($0.key) }
        model.last = last
        let isWhole = needed.keys.allSatisfy(pinned.contains) && model.generations.count == pinned.count
        return isWhole ? model : nil
    }

    /// Where packets go.
    var course: SoakCourse { SoakCourse(live: live, candidate: candidate) }
}
