// SPDX-License-Identifier: Apache-2.0

import StageKit
import StageTesting

@testable import VolumetricDoS

/// Traffic, the sampling of the program, and the rules that auto mode has installed, second by second.
struct Simulation {
    var flows: [Flow]
    var watch: TrafficWatch
    private(set) var time = 0.0
    private(set) var installed: [String: Installed] = [:]
    private(set) var changes: [(time: Double, change: AutoChange)] = []
    private(set) var log: [(time: Double, line: String)] = []
    /// Whether the manager makes the changes.
    var accepts = true

    private var random: SeededGenerator
    private var ticks = 0
    private var judged = [Double](repeating: 0, count: cpus)
    private var sampled = [UInt64](repeating: 0, count: cpus)

    private static let cpus = 2
    /// Of each CPU.
    private static let samplesPerSecond = 1000

    struct Installed {
        let rule: Rule
        var until: Double
    }

    init(_ auto: AutoConfiguration, seed: UInt64 = 1, _ flows: [Flow]) {
        watch = TrafficWatch(auto)
        random = SeededGenerator(seed: seed)
        self.flows = flows
    }

    mutating func run(until end: Double) throws {
        let tick = 1 / Double(Self.samplesPerSecond)
        var records: [Bytes] = []
        while time < end {
            let active = flows.filter { $0.from <= time && time < $0.until }
            let total = active.reduce(0) { $0 + $1.rate }
            for cpu in 0..<Self.cpus {
                judged[cpu] += total * tick / Double(Self.cpus)
                guard UInt64(judged[cpu]) > sampled[cpu] else { continue }
                sampled[cpu] = UInt64(judged[cpu])
                let frame = pick(active, total).frame(&random)
                let isHeld = PacketFacts(captured: frame).map(holds) ?? false
                records.append(
                    .sample(frame, seen: sampled[cpu], cpu: UInt32(cpu), reason: isHeld ? .rule : .passed))
            }
            ticks += 1
            time = Double(ticks) * tick
            if ticks % 250 == 0 {
                watch.take(records, at: time)
                records = []
            }
            if ticks % 500 == 0 { try step() }
        }
    }

    private mutating func pick(_ flows: [Flow], _ total: Double) -> Flow {
        var place = Double.random(in: 0..<total, using: &random)
        for flow in flows {
            if place < flow.rate { return flow }
            place -= flow.rate
        }
        return flows[flows.count - 1]
    }

    private mutating func step() throws {
        installed = installed.filter { $0.value.until > time }
        for action in watch.step(at: time) {
            switch action {
            case .log(let line): log.append((time, line))
            case .change(let change):
                changes.append((time, change))
                guard accepts else {
                    watch.refused(change, at: time)
                    continue
                }
                for (rule, ttl) in try change.rules {
                    installed[rule.name ?? ""] = Installed(rule: rule, until: time + Double(ttl))
                }
                watch.done(change, at: time)
            }
        }
    }

    func holds(_ packet: PacketFacts) -> Bool { installed.values.contains { $0.rule.matches(packet) } }

    /// The share of a flow that the rules hold that are installed now.
    func share(held flow: Flow) -> Double {
        var random = SeededGenerator(seed: 99)
        let count = 3000
        let held = (0..<count).filter { _ in PacketFacts(captured: flow.frame(&random)).map(holds) ?? false }.count
        return Double(held) / Double(count)
    }

    /// Of all traffic that is no attack.
    var shareOfBystandersHeld: Double {
        let usual = flows.filter { !$0.isAttack }
        return usual.reduce(0) { $0 + $1.rate * share(held: $1) } / usual.reduce(0) { $0 + $1.rate }
    }
}

extension AutoChange {
    /// As the plugin's `change` would read them.
    var rules: [(rule: Rule, ttl: Int)] {
        get throws {
            guard case .object(let request) = request, case .array(let list)? = request["add"] else {
                throw StageError("no rules in \(request)")
            }
            return try list.map { json in
                guard case .object(var object) = json, case .string(let text)? = object["ttl"] else {
                    throw StageError("no ttl in \(json)")
                }
                object["ttl"] = nil
                let rule = try JSON.object(object).decode(Rule.self)
                _ = try Configuration(rules: [rule]).plan()
                return (rule, Int(try JSON.string(text).decode(TimeSpan.self).seconds))
            }
        }
    }
}
