// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples

/// Finds what the packets of an attack have in common that the bystanders have not.
///
/// An attack may consist of several kinds of packets, told apart by protocol first. Of each kind the conditions are
/// collected that hold nearly all of its excess over what is usual: those that name a few values always, others and
/// prefixes of sources where bystanders would be hit otherwise.
struct PatternFinder {
    let target: PrefixBits
    /// How many patterns there may be.
    let room: Int

    /// Of a kind of packets, what conditions must hold: of the excess that is seen, some of which is chance.
    private static let share = 0.9
    /// When so little of the attack is left it is held.
    private static let rest = 0.05
    /// Of that, what prefixes of its sources must hold before it is enough; and what they must hold at least.
    private static let enough = 0.97
    private static let most = 0.5
    /// Fewer bystanders than this share are none.
    static let nothing = 0.001
    /// More bystanders than this share must not be hit.
    static let tolerated = 0.01
    /// A kind of packets with a smaller share of the excess is left alone.
    private static let least = 0.02
    /// Where it is not known what is usual, small parts may be just that.
    private static let leastOfUnknown = 0.2
    private static let prefixesPerKind = 8

    /// - Returns: The findings, and in words why there are no others.
    func find(_ evidence: Evidence) -> (findings: [Finding], left: String) {
        var rest = evidence
        var findings: [Finding] = []
        var hopeless: Set<Kind> = []
        var left: String?
        let enough = Self.rest * evidence.excess
        let least = (evidence.knowsBystanders ? Self.least : Self.leastOfUnknown) * evidence.excess
        while (findings.count < room) && (rest.excess > enough) {
            guard let kind = largestKind(rest, but: hopeless, least: least) else { break }
            let inside = rest.keeping(kind.includes)
            let best = best(inside, kind)
            guard isAcceptable(best), best.patterns.count <= room - findings.count else {
                hopeless.insert(kind)
                left = left ?? describe(best)
                continue
            }
            findings += best.patterns.map { Finding($0, rest) }
            rest.keep { observation in !best.patterns.contains { $0.matchesBut(destination: observation) } }
        }
        let other = findings.count >= room ? "there are as many rules as there may be" : "nothing in it sticks out"
        return (findings, left ?? other)
    }

    /// Packets that one pattern can be for.
    private struct Kind: Hashable {
        let `protocol`: UInt32
        /// Later fragments have no ports to ask for.
        let isLater: Bool

        func includes(_ observation: Observation) -> Bool {
            observation.value(.protocol) == `protocol` && (observation.fragment == .later) == isLater
        }

        var conditions: [Condition] {
            [
                Condition(.protocol, values: [`protocol`]),
                isLater ? Condition(.fragment, values: [UInt32(Observation.FragmentNumber.later.rawValue)]) : nil,
            ].compactMap(\.self)
        }
    }

    private func largestKind(_ evidence: Evidence, but hopeless: Set<Kind>, least: Double) -> Kind? {
        let kinds = [false, true].flatMap { isLater in
            evidence.keeping { ($0.fragment == .later) == isLater }.excess(by: .protocol).map {
                (kind: Kind(protocol: $0.value, isLater: isLater), excess: $0.excess)
            }
        }
        return kinds.filter { kind, excess in
            !hopeless.contains(kind) && excess >= least && evidence.keeping(kind.includes).isSure
        }.max { $0.excess < $1.excess }?.kind
    }

    private struct Choice {
        var patterns: [Pattern]
        /// The share of bystanders that is hit.
        var cost: Double
        var knowsBystanders: Bool
    }

    /// As long as nothing is known of what usually comes, only what would be odd of any traffic is a pattern.
    private func isAcceptable(_ choice: Choice) -> Bool {
        choice.cost <= Self.tolerated && (choice.knowsBystanders || choice.patterns.allSatisfy(\.isOdd))
    }

    private func describe(_ choice: Choice) -> String {
        let words = choice.patterns.first?.words ?? "a pattern"
        return choice.knowsBystanders
            ? "\(words) would take \(percent(choice.cost, of: 1)) of what usually comes"
            : "nothing but \(words) tells it apart, and what usually comes is not known yet"
    }

    private func best(_ inside: Evidence, _ kind: Kind) -> Choice {
        let plain = choose(inside, kind.conditions)
        guard !isAcceptable(plain), inside.knowsBystanders else { return plain }
        // Several attacks that look different may share a protocol.
        for feature in [.sourcePort, .destinationPort, .tcpFlags, .length] as [Feature] {
            guard let top = inside.excess(by: feature).first, top.excess >= 0.3 * inside.excess,
                let condition = Condition(feature, values: [top.value])
            else { continue }
            let part = choose(inside.keeping(condition.matches), kind.conditions + [condition])
            if isAcceptable(part) { return part }
        }
        return plain
    }

    /// The pattern, or patterns with a prefix of sources each, that hit least bystanders.
    private func choose(_ evidence: Evidence, _ start: [Condition]) -> Choice {
        var inside = evidence
        var conditions = start
        for feature in [.sourcePort, .destinationPort, .icmpType, .tcpFlags] as [Feature] {
            add(feature, to: &conditions, &inside, of: evidence) { condition, _ in condition.isNarrow }
        }
        if conditions.count == 1 || !evidence.knowsBystanders {
            add(.length, to: &conditions, &inside, of: evidence) { condition, _ in condition.isNarrow }
        }
        if inside.cost <= Self.nothing { return narrowed(inside, conditions) }
        let (further, rest) = adding(to: conditions, inside, of: evidence)
        if rest.cost <= Self.nothing { return narrowed(rest, further) }
        let choices = [
            covered(inside, conditions), covered(rest, further), plain(further, cost: rest.cost, evidence),
        ].compactMap(\.self)
        return choices.first { $0.cost <= Self.nothing } ?? choices.min { $0.cost < $1.cost }!
    }

    /// Adds a condition if it still holds enough of the excess of the whole, and is wanted.
    private func add(
        _ feature: Feature, to conditions: inout [Condition], _ inside: inout Evidence, of whole: Evidence,
        if isWanted: (Condition, Evidence) -> Bool
    ) {
        guard !conditions.contains(where: { $0.feature == feature }), let condition = inside.condition(feature)
        else { return }
        let next = inside.keeping(condition.matches)
        guard next.excess >= Self.share * whole.excess, isWanted(condition, next) else { return }
        conditions.append(condition)
        inside = next
    }

    /// With the conditions that spare most bystanders, one after the other, until none are hit or none helps.
    private func adding(
        to conditions: [Condition], _ inside: Evidence, of whole: Evidence
    ) -> (conditions: [Condition], inside: Evidence) {
        var (found, evidence) = (conditions, inside)
        while evidence.cost > Self.nothing {
            let tries = ([.length, .ttl, .sourcePort, .destinationPort, .tcpFlags] as [Feature]).map { feature in
                var next = (conditions: found, inside: evidence)
                add(feature, to: &next.conditions, &next.inside, of: whole) { $1.cost < 0.7 * evidence.cost }
                return next
            }
            guard let best = tries.min(by: { $0.inside.cost < $1.inside.cost }), best.inside.cost < evidence.cost
            else { break }
            (found, evidence) = best
        }
        return (found, evidence)
    }

    private func plain(_ conditions: [Condition], cost: Double, _ evidence: Evidence) -> Choice {
        Choice(
            patterns: [Pattern(destination: target, source: nil, conditions: conditions)], cost: cost,
            knowsBystanders: evidence.knowsBystanders)
    }

    /// Only from where it comes from, if that is one place.
    private func narrowed(_ inside: Evidence, _ conditions: [Condition]) -> Choice {
        var choice = plain(conditions, cost: inside.cost, inside)
        let prefixes = SourceCover(inside, tolerated: Self.nothing).prefixes()
        if let only = prefixes.first, prefixes.count == 1, only.prefix.length >= (only.prefix.first.isIPv4 ? 8 : 32) {
            choice.patterns[0].source = only.prefix
        }
        return choice
    }

    /// From prefixes without bystanders; nil where few prefixes do not hold most of it.
    private func covered(_ inside: Evidence, _ conditions: [Condition]) -> Choice? {
        var held = 0.0
        var patterns: [Pattern] = []
        for (prefix, packets) in SourceCover(inside, tolerated: Self.nothing).prefixes() {
            if patterns.count == min(room, Self.prefixesPerKind) || held >= Self.enough * inside.excess { break }
            patterns.append(Pattern(destination: target, source: prefix, conditions: conditions))
            held += packets / inside.attack.seconds
        }
        guard held >= Self.most * inside.excess else { return nil }
        let hit = inside.keeping { observation in patterns.contains { $0.matchesBut(destination: observation) } }
        return Choice(patterns: patterns, cost: hit.cost, knowsBystanders: inside.knowsBystanders)
    }
}
