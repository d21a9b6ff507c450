// SPDX-License-Identifier: Apache-2.0

public import StageKit

extension Configuration {
    /// The plan of the stage at the hook of the context.
    /// - Throws: ``StageError`` for what cannot work.
    public func plan(in context: PlanContext) throws(StageError) -> StagePlan {
        guard let kind = context.kind, let part = Part(kind) else {
            throw StageError("\(context.hook) is no hook of a cgroup")
        }
        switch part {
        case .sockops: return connectionsPlan()
        case .sockCreate: return socketsPlan()
        default: return try addressPlan(part, kind)
        }
    }

    /// Of hooks with rules on addresses: calls and packets.
    private func addressPlan(_ part: Part, _ kind: HookKind) throws(StageError) -> StagePlan {
        let rules = rules(part)
        var constants = judging(part)
        var maps: [String: MapPlan] = [:]
        var summary: [String] = []
        if let rules {
            let places: Places
            do { places = try Places(rules) } catch {
                throw StageError(
                    error.message, at: "\(part == .send && send == nil ? Part.connect : part).\(error.path)")
            }
            maps = places.maps
            maps["rule_counters"] = MapPlan(maxEntries: UInt32(rules.labels.count))
            maps["gates"] = MapPlan(maxEntries: UInt32(rules.labels.count))
            summary = self.summary(part, rules, places)
        } else {
            summary = ["nothing is said of \(part.rawValue): all goes on"]
        }
        var counters: [CounterTable] = []
        if let rules {
            counters.append(
                CounterTable(
                    name: "rules", map: "rule_counters", columns: part.isOfPackets ? ["packets", "bytes"] : ["calls"],
                    rows: rules.labels))
        }
        let object: String
        let program: String
        if part.isOfPackets {
            (object, program) = ("packets.bpf.o", "policy_packets")
            constants["outwards"] = .boolean(part == .egress)
        } else {
            let isIPv4 = [.cgroupConnect4, .cgroupSendmsg4, .cgroupBind4].contains(kind)
            object = "address.bpf.o"
            program = "policy_\(part == .bind ? "bind" : "connect")\(isIPv4 ? 4 : 6)"
            let own = part.rewrites ? rewrite.filter { isIPv4 ? $0.from.address.isIPv4 : true } : []
            constants["rewriting"] = .boolean(!own.isEmpty)
            if !own.isEmpty {
                maps["rewrites"] = Self.map(of: own)
                maps["rewrite_counters"] = MapPlan(maxEntries: UInt32(own.count))
                counters.append(
                    CounterTable(name: "rewrites", map: "rewrite_counters", columns: ["calls"], rows: own.map(\.name)))
                summary += own.prefix(8).map { "\($0.from) (\($0.transport.rawValue)) is \($0.to)" }
                if own.count > 8 { summary.append("and \(own.count - 8) more addresses that stand for others") }
            }
        }
        return StagePlan(
            object: object, program: program, constants: constants, maps: maps,
            verdicts: [.drop, .next], samples: part.isOfPackets ? samples(part) : [], counters: counters,
            live: [LiveStage.unreported], summary: summary, ring: reports(part) ? "denials" : nil, runs: reports(part))
    }

    /// What all that deny have in common.
    private func judging(_ part: Part) -> [String: Constant] {
        let interval = reportsPerSecond > 0 ? 1_000_000_000 / Int64(reportsPerSecond) : 0
        return [
            "judges": .boolean(part == .sockCreate ? sockCreate?.deny.isEmpty == false : rules(part) != nil),
            "enforces": .boolean(mode == .enforce),
            "report_interval": .integer(reports(part) ? interval : 0),
            // A second's worth at once.
            "report_burst": .integer(1_000_000_000 - interval),
        ]
    }

    private func summary(_ part: Part, _ rules: Rules, _ places: Places) -> [String] {
        let denied = mode == .enforce ? "denied" : "told of and goes on (audit)"
        var lines = ["\(part.rawValue): \(rules.rules.count) rules; what is denied is \(denied)"]
        lines += rules.rules.prefix(16).map { "  \($0.name): \($0.text)" }
        if rules.rules.count > 16 { lines.append("  and \(rules.rules.count - 16) more") }
        lines.append("  \(Rules.defaultName): \(rules.otherwise.rawValue)")
        for rule in places.unreached.prefix(8) {
            lines.append("  rule \"\(rule.name)\" is never asked: those before take all that it is for")
        }
        return lines
    }

    private static func map(of rewrites: [Rewrite]) -> MapPlan {
        var entries: [MapEntry] = []
        for (index, rewrite) in rewrites.enumerated() {
            for transport in rewrite.transports {
                var key = Bytes(rewrite.from.address.mapped)
                key.append(rewrite.from.port)
                key.pad(to: 4)
                key.append(UInt32(transport == .tcp ? 1 : 2))
                var value = Bytes(rewrite.to.address.mapped)
                value.append(rewrite.to.port)
                value.pad(to: 4)
                value.append(UInt32(index))
                entries.append(MapEntry(key: key, value: value))
            }
        }
        return MapPlan(maxEntries: UInt32(entries.count), entries: entries, freeze: true)
    }

    private func socketsPlan() -> StagePlan {
        let part = sockCreate ?? SocketPart()
        var kinds = Bytes()
        var count = 0
        for (index, denied) in part.deny.enumerated() {
            for numbers in denied.numbers {
                for number in [numbers.family, numbers.type, numbers.protocol] { kinds.append(number ?? .max) }
                kinds.append(UInt32(index + 1))
                count += 1
            }
        }
        kinds.raw += [UInt8](repeating: 0, count: 16 * 16 - kinds.raw.count)
        var constants = judging(.sockCreate)
        constants["kinds"] = .bytes(kinds)
        constants["kind_count"] = .integer(Int64(count))
        constants["marking"] = .boolean(part.mark != nil)
        constants["mark"] = .integer(Int64(part.mark ?? 0))
        constants["prioritizing"] = .boolean(part.priority != nil)
        constants["priority"] = .integer(Int64(part.priority ?? 0))
        var summary = part.deny.map { "sockets of \($0.rawValue): deny" }
        if let mark = part.mark { summary.append("sockets have the mark \(mark)") }
        if let priority = part.priority { summary.append("sockets have the priority \(priority)") }
        if summary.isEmpty { summary = ["nothing is said of sock-create: all goes on"] }
        let rows = part.deny.isEmpty ? [] : part.labels
        return StagePlan(
            object: "sockets.bpf.o", program: "policy_sockets", constants: constants,
            maps: [
                "rule_counters": MapPlan(maxEntries: UInt32(max(1, rows.count))),
                "gates": MapPlan(maxEntries: UInt32(max(1, rows.count))),
            ],
            verdicts: [.drop, .next],
            counters: rows.isEmpty
                ? [] : [CounterTable(name: "rules", map: "rule_counters", columns: ["calls"], rows: rows)],
            live: [LiveStage.unreported], summary: summary, ring: reports(.sockCreate) ? "denials" : nil,
            runs: reports(.sockCreate))
    }

    private func connectionsPlan() -> StagePlan {
        let part = sockops ?? ConnectionOptions()
        let settings = part.settings
        var options = Bytes()
        for setting in settings {
            for number in [setting.level, setting.name, setting.value] { options.append(number) }
            options.append(setting.when)
            options.append(setting.family)
        }
        let room = ConnectionOptions.Setting.maximum * 20
        options.raw += [UInt8](repeating: 0, count: room - options.raw.count)
        var congestion = Array((part.congestion ?? "").utf8)
        congestion += [UInt8](repeating: 0, count: 16 - congestion.count)
        var summary = settings.map { "connections: \($0.label) \($0.value)" }
        if let name = part.congestion { summary.append("connections: congestion \(name)") }
        if let window = part.receiveWindow { summary.append("connections: receive-window \(window)") }
        let isEmpty = summary.isEmpty
        if isEmpty { summary = ["nothing is said of sockops: all goes on"] }
        return StagePlan(
            object: "connections.bpf.o", program: "policy_connections",
            constants: [
                "options": .bytes(options), "option_count": .integer(Int64(settings.count)),
                "congestion": .bytes(Bytes(congestion)),
                "receive_window": .integer(Int64(part.receiveWindow ?? 0)),
            ],
            maps: ["option_counters": MapPlan(maxEntries: UInt32(part.labels.count))],
            verdicts: [.next],
            counters: isEmpty
                ? []
                : [
                    CounterTable(
                        name: "options", map: "option_counters", columns: ["set", "refused"], rows: part.labels)
                ],
            summary: summary, runs: false)
    }
}

extension Rule {
    /// In words, for people.
    var text: String {
        var words = [action.rawValue]
        if transport != .any { words.append(transport.rawValue) }
        if prefixes.isEmpty {
            words.append("all addresses")
        } else {
            words.append(prefixes.prefix(3).map(\.description).joined(separator: ", "))
            if prefixes.count > 3 { words.append("and \(prefixes.count - 3) more") }
        }
        if let ports { words.append("port \(ports)") }
        if let localPorts { words.append("local port \(localPorts)") }
        return words.joined(separator: " ")
    }
}
