// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples
internal import StageKit

/// Notices attacks in the samples, finds rules against them, and keeps those up as long as the attacks go on.
///
/// Its memory is bounded: that of the ``Baseline``, as many rules as the configuration allows, and as many targets
/// without a rule as ``Targets`` finds at a time.
struct AttackFinder {
    let configuration: AutoConfiguration
    private var baseline: Baseline
    private var rules: [AutoRule] = []
    /// Targets that no rule was found for.
    private var unexplained: [PrefixBits: Unexplained] = [:]
    /// The second up to which the baseline has the quiet traffic.
    private var learnt: Int?
    /// When something was last not explained.
    private var trouble = -Double.infinity
    /// After a refusal, when rules are looked for again.
    private var pause = -Double.infinity

    private struct Unexplained {
        let since: Double
        var seen: Double
        var rate: Double
        var note: String?
        /// When it is worth looking again, and how long to wait after that.
        var due: Double
        var pause = 1.0
    }

    /// Rates are those of so many seconds: a burst of one second is no attack.
    private static let seconds = 2.0
    /// For how large it is now.
    private static let moment = 0.5
    /// With fewer samples it is worth waiting for more, up to so many seconds.
    private static let fewestSamples = 200
    private static let patience = 1.0
    /// So old, in seconds, traffic is quiet if no attack was noticed since.
    private static let quiet = 5
    /// Between looking again at what was not explained at most, and after a refusal, in seconds.
    private static let longestPause = 8.0
    private static let refusalPause = 10.0

    init(_ configuration: AutoConfiguration) {
        self.configuration = configuration
        baseline = Baseline(seconds: configuration.learn)
    }

    /// To be called a few times a second.
    mutating func step(_ window: SampleWindow<Observation>, at time: Double) -> [AutoAction] {
        var actions = expire(at: time)
        let recent = window.last(Self.seconds, at: time).filter { $0.isIP && $0.outcome != .exempt }
        actions += renew(recent, at: time)
        actions += look(recent, window, at: time)
        learn(window, at: time)
        return actions
    }

    // MARK: Rules that are there

    private mutating func expire(at time: Double) -> [AutoAction] {
        let ended = rules.filter { $0.expires <= time && $0.state != .installing }
        rules.removeAll { $0.expires <= time && $0.state != .installing }
        return ended.map { .log("\($0.name) ends: the attack on \($0.target.prefix.text) does not go on") }
    }

    /// Puts off the end of rules whose attack goes on: what the rules of a target hold is counted together, as one
    /// attack may need several.
    private mutating func renew(_ recent: Traffic, at time: Double) -> [AutoAction] {
        for index in rules.indices {
            rules[index].held = recent.filter(rules[index].finding.pattern.matches).rate
        }
        var actions: [AutoAction] = []
        for (_, indices) in Dictionary(grouping: rules.indices, by: { rules[$0].target.prefix }) {
            let held = indices.reduce(0) { $0 + rules[$1].held }
            guard held > rules[indices[0]].target.threshold / 2 else { continue }
            let due = indices.filter {
                rules[$0].held > held / 100 && rules[$0].state != .installing
                    && rules[$0].expires - time < Double(configuration.ttl) / 2
            }
            guard !due.isEmpty else { continue }
            let reason =
                "the attack on \(rules[indices[0]].target.prefix.text) goes on: \(grouped(held)) packets/s are held"
            actions += put(due, reason, at: time)
        }
        return actions
    }

    private mutating func put(_ indices: [Int], _ reason: String, at time: Double) -> [AutoAction] {
        switch configuration.mode {
        case .propose:
            for index in indices { rules[index].expires = time + Double(configuration.ttl) }
            return []
        case .install:
            for index in indices { rules[index].state = .installing }
            let wanted = indices.map { rules[$0].finding.pattern.rule }
            return [.change(AutoChange(wanted, ttl: configuration.ttl, reason: reason))]
        }
    }

    /// The change was made.
    mutating func done(_ change: AutoChange, at time: Double) {
        for index in rules.indices where change.names.contains(rules[index].name) {
            rules[index].state = .installed
            rules[index].expires = time + Double(configuration.ttl)
        }
    }

    /// The change was not made: what was there before is there still, for as long as it was to be.
    mutating func refused(_ change: AutoChange, at time: Double) {
        pause = time + Self.refusalPause
        for index in rules.indices where change.names.contains(rules[index].name) { rules[index].state = .installed }
        rules.removeAll { change.names.contains($0.name) && $0.expires <= time }
    }

    private func isHeld(_ observation: Observation) -> Bool {
        rules.contains { $0.finding.pattern.matches(observation) }
    }

    // MARK: Rules that are missing

    private mutating func look(_ recent: Traffic, _ window: SampleWindow<Observation>, at time: Double) -> [AutoAction]
    {
        // Of less than this no rate is known well.
        guard recent.seconds >= Self.patience else { return [] }
        // What rules of this very step hold is taken out as they are found.
        var passing = recent.filter { $0.outcome == .passed && !isHeld($0) }
        var actions: [AutoAction] = []
        for target in Targets(configuration: configuration, baseline: baseline).find(passing) {
            let attack = passing.filter { target.prefix.contains($0.destinationAddress) }
            var state =
                unexplained[target.prefix]
                ?? Unexplained(since: time, seen: time, rate: 0, note: nil, due: time)
            state.seen = time
            state.rate = attack.rate
            let isReady = attack.samples.count >= Self.fewestSamples || time - state.since >= Self.patience
            if isReady, time >= state.due, time >= pause {
                state.due = time + state.pause
                state.pause = min(2 * state.pause, Self.longestPause)
                let (found, left) = find(target, attack)
                guard found.isEmpty else {
                    // Whether more is needed shows when these hold.
                    actions += add(found, target, window, at: time)
                    passing = passing.filter { !isHeld($0) }
                    unexplained[target.prefix] = nil
                    continue
                }
                if state.note == nil {
                    actions.append(
                        .log("\(grouped(attack.rate)) packets/s to \(target.prefix.text), and no rule for it: \(left)"))
                }
                state.note = left
            }
            unexplained[target.prefix] = state
            // What has gone on for as long as it takes to learn is what is usual now.
            if time - state.since < Double(configuration.learn) { trouble = time }
        }
        unexplained = unexplained.filter { time - $0.value.seen < Double(Self.quiet) }
        return actions
    }

    private func find(_ target: Targets.Target, _ attack: Traffic) -> (findings: [Finding], left: String) {
        let usual = baseline.traffic { target.prefix.contains($0.destinationAddress) }
        let others = baseline.traffic { $0.isIP && $0.isIPv4 == target.prefix.first.isIPv4 }
        let evidence = Evidence(attack: attack, usual: usual, others: others.samples)
        return PatternFinder(target: target.prefix, room: configuration.rules - rules.count).find(evidence)
    }

    private mutating func add(
        _ found: [Finding], _ target: Targets.Target, _ window: SampleWindow<Observation>, at time: Double
    ) -> [AutoAction] {
        guard !found.isEmpty else { return [] }
        // An attack that has just begun is larger than the mean of some seconds says.
        let total = window.last(Self.moment, at: time).filter {
            $0.isIP && $0.outcome != .exempt && target.prefix.contains($0.destinationAddress)
        }
        var actions: [AutoAction] = []
        var added: [Int] = []
        for finding in found where !rules.contains(where: { $0.name == finding.pattern.name }) {
            let held = total.filter(finding.pattern.matches).rate
            let reason = finding.reason(of: total.rate, held: held)
            rules.append(
                AutoRule(
                    name: finding.pattern.name, finding: finding, target: target, reason: reason, state: .proposed,
                    expires: time + Double(configuration.ttl), held: held))
            added.append(rules.count - 1)
        }
        for index in added {
            let rule = rules[index]
            if configuration.mode == .propose {
                actions.append(.log("proposes \(rule.name), \(rule.words): \(rule.reason)"))
            } else {
                // A change each, as each has its own reason.
                rules[index].expires = time
                actions += put([index], rule.reason, at: time)
            }
        }
        return actions
    }

    // MARK: What is usual

    /// Hands on what is old enough to the baseline, unless something was not explained then or soon after.
    private mutating func learn(_ window: SampleWindow<Observation>, at time: Double) {
        guard let began = window.began else { return }
        let last = Int(time) - Self.quiet - 1
        // Of the second in which samples began there are not all; and what the window has forgotten is not to be had.
        let first = max(began / SampleWindow<Observation>.stepsPerSecond + 1, (learnt ?? -1) + 1, last - 3)
        guard first <= last else { return }
        for second in first...last {
            learnt = second
            guard trouble < Double(second) else { continue }
            let start = second * SampleWindow<Observation>.stepsPerSecond
            let samples = window.samples(of: start...start + SampleWindow<Observation>.stepsPerSecond - 1)
            baseline.add(second: samples.filter { $0.isIP && $0.outcome == .passed && !isHeld($0) })
        }
    }

    /// How much is known of what is usual, in words.
    var progress: String { "\(baseline.seconds) of \(configuration.learn) s of quiet traffic are known" }

    func table(at time: Double) -> StageTable {
        let notes = unexplained.sorted { $0.value.rate > $1.value.rate }.compactMap { prefix, state in
            state.note.map { "no rule for \(grouped(state.rate)) packets/s to \(prefix.text): \($0)" }
        }
        return StageTable(columns: AutoRule.columns, rows: rules.map { $0.row(at: time) }, notes: notes + [progress])
    }
}
