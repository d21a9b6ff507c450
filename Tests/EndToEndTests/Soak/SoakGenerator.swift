// SPDX-License-Identifier: Apache-2.0

import StageTesting

/// Picks the steps of one sequence: all from its seed, and only such as make sense where the chain is.
struct SoakGenerator {
    private var random: SeededGenerator
    private var stamp = 0

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func length() -> Int { random.number(3...8) }

    mutating func step(for model: SoakModel) -> SoakStep {
        guard model.hasInterface || random.chance(0.6) else {
            return random.chance(0.5) ? .event(.interfaceMade, .heard) : .outage(end(), .interfaceMade)
        }
        return weighted(model.live == nil ? idle(model) : running(model))
    }

    private typealias Choice = (weight: Int, step: (inout SoakGenerator) -> SoakStep)

    private func idle(_ model: SoakModel) -> [Choice] {
        var choices: [Choice] = [(1, { .outage($0.end(), nil) }), (1, { _ in .change(.gc) })]
        if model.hasInterface {
            choices += [
                (8, { .change(.apply($0.recipe(model))) }), (3, { $0.crash(.apply($0.recipe(model))) }),
                (1, { .refused($0.random.pick([.brokenPlugin, .badSample, .verifier])) }),
                (1, { _ in .event(.interfaceReplaced, .heard) }),
            ]
        }
        return choices
    }

    private func running(_ model: SoakModel) -> [Choice] {
        var choices: [Choice] = [
            (2, { _ in .change(.gc) }), (2, { _ in .change(.detach) }), (5, { .outage($0.end(), nil) }),
            (1, { $0.crash(.gc) }), (1, { $0.crash(.detach) }),
        ]
        choices += model.candidate == nil ? steady(model) : trying()
        if !model.kept.isEmpty {
            choices += [(5, { .change($0.rollback(model)) }), (2, { $0.crash($0.rollback(model)) })]
        }
        if model.hasInterface {
            choices += [
                (6, { .event($0.harm(), $0.remedy(model)) }), (3, { .outage($0.end(), $0.harm()) }),
                (3, { _ in .event(.interfaceDeleted, .heard) }), (1, { .outage($0.end(), .interfaceDeleted) }),
                (2, { _ in .event(.interfaceReplaced, .heard) }), (1, { .outage($0.end(), .interfaceReplaced) }),
            ]
        }
        return choices
    }

    private func steady(_ model: SoakModel) -> [Choice] {
        var choices: [Choice] = [
            (6, { .change(.apply($0.recipe(model))) }), (1, { _ in .change(.reapply) }),
            (5, { .change($0.upgrade(model)) }),
            (3, { .refused($0.random.pick(SoakRefusal.withoutCanary)) }), (3, { $0.crash(.apply($0.recipe(model))) }),
            (3, { $0.crash($0.upgrade(model)) }),
        ]
        if model.hasInterface {
            choices += [
                (6, { .change(.canary($0.build(model), .open)) }), (2, { $0.crash(.canary($0.build(model), .open)) }),
                (1, { .change(.canary($0.build(model), .promoted)) }),
                (1, { .change(.canary($0.build(model), .aborted)) }),
                (1, { .change(.canary($0.build(model), .promotedAfterKill)) }),
            ]
        }
        return choices
    }

    /// While a canary is on.
    private func trying() -> [Choice] {
        [
            (8, { _ in .change(.promote) }), (6, { _ in .change(.abort) }), (3, { $0.crash(.promote) }),
            (3, { $0.crash(.abort) }), (3, { .refused($0.random.pick(SoakRefusal.inCanary)) }),
        ]
    }

    private mutating func weighted(_ choices: [Choice]) -> SoakStep {
        var place = random.number(0...choices.map(\.weight).reduce(0, +) - 1)
        for choice in choices {
            place -= choice.weight
            if place < 0 { return choice.step(&self) }
        }
        fatalError("weights are positive")
    }

    private mutating func recipe(_ model: SoakModel) -> SoakRecipe {
        stamp += 1
        let port = random.number(SoakRecipe.ports)
        let dos = random.pick(SoakRecipe.dosVersions)
        // A chain mostly keeps its stages.
        let tally = random.chance(0.8) ? model.recipe?.tally : random.pick(SoakRecipe.tallyVersions)
        return SoakRecipe(stamp: stamp, port: port, dos: dos, tally: tally)
    }

    private mutating func upgrade(_ model: SoakModel) -> SoakChange {
        let recipe = model.recipe!
        if let tally = recipe.tally, random.chance(0.7) {
            return .upgrade(stage: "tally", to: random.pick(SoakRecipe.tallyVersions.filter { $0 != tally }))
        }
        return .upgrade(stage: "dos", to: random.pick(SoakRecipe.dosVersions.filter { $0 != recipe.dos }))
    }

    private mutating func build(_ model: SoakModel) -> SoakChange {
        random.chance(0.6) ? .apply(recipe(model)) : upgrade(model)
    }

    private mutating func rollback(_ model: SoakModel) -> SoakChange {
        .rollback(random.chance(0.5) ? nil : random.number(0...model.kept.count - 1))
    }

    private mutating func crash(_ change: SoakChange) -> SoakStep { .crash(change, random.pick(change.faultPoints)) }

    private mutating func end() -> SoakEnd { random.chance(0.7) ? .kill : .stop }

    private mutating func harm() -> SoakEvent {
        random.pick([.linkDetached, .linkDetached, .linkUnpinned, .rootUnpinned, .slotEmptied, .arrayUnpinned])
    }

    private mutating func remedy(_ model: SoakModel) -> SoakRemedy {
        switch random.number(0...3) {
        case 0: .repair
        case 1 where model.candidate == nil: .apply(recipe(model))
        default: .heard
        }
    }
}
