// SPDX-License-Identifier: Apache-2.0

internal import NIOPosix
public import StageKit

/// Checks the servers of all pools that say how, and has the stage take those for down that are found so.
public actor HealthWatch {
    /// Checks a server once; nil when it is well, and why it is not otherwise.
    typealias Probe = @Sendable (CheckTarget, HealthCheck) async -> String?

    /// What it does to the stage.
    public struct Effects: Sendable {
        public var change: @Sendable (_ request: JSON, _ reason: String) async throws -> Void
        public var log: @Sendable (String) -> Void

        public init(
            change: @escaping @Sendable (JSON, String) async throws -> Void, log: @escaping @Sendable (String) -> Void
        ) {
            self.change = change
            self.log = log
        }
    }

    private struct Record {
        let target: CheckTarget
        let check: HealthCheck
        var health: ServerHealth
        var fault: String?
        var checks = 0
    }

    private var records: [Record]
    private var ledger: HealthLedger
    private let effects: Effects
    private let probe: Probe
    private let slots = CheckSlots()
    private let clock = ContinuousClock()
    private let began: ContinuousClock.Instant
    private var refusal: String?

    /// How often it is looked whether there is something to tell.
    private static let pace = Duration.milliseconds(100)
    private static let pause = Duration.seconds(2)

    /// - Parameter interface: That of the stage's hook.
    public init(_ configuration: Configuration, interface: String?, effects: Effects) {
        // Of this process, to its end.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let streams = StreamProber(configuration, interface: interface, group: group)
        let tunnels = TunnelProber(configuration, group: group)
        self.init(configuration, effects: effects) { target, check in
            check.kind == .dns ? await tunnels.fault(of: target, check) : await streams.fault(of: target, check)
        }
    }

    init(_ configuration: Configuration, effects: Effects, probe: @escaping Probe) {
        let addresses = Dictionary(
            configuration.servers.map { ($0.name, $0.address) }, uniquingKeysWith: { first, _ in first })
        records = configuration.pools.flatMap { pool in
            guard let check = pool.check else { return [Record]() }
            return pool.servers.compactMap { name in
                addresses[name].map {
                    Record(
                        target: CheckTarget(pool: pool.name, server: name, address: $0), check: check,
                        health: ServerHealth(check))
                }
            }
        }
        ledger = HealthLedger(configuration.pools)
        self.effects = effects
        self.probe = probe
        began = clock.now
    }

    /// Until it is cancelled.
    public func run() async {
        await withTaskGroup { group in
            for index in records.indices {
                let (target, check) = (records[index].target, records[index].check)
                group.addTask { await self.watch(index, target, check) }
            }
            group.addTask {
                while (try? await Task.sleep(for: await self.tell())) != nil {}
            }
        }
    }

    private func watch(_ index: Int, _ target: CheckTarget, _ check: HealthCheck) async {
        let interval = check.interval.duration
        // Not all of them at once.
        var next = clock.now + interval * Double.random(in: 0..<1)
        while (try? await clock.sleep(until: next)) != nil {
            let isSuspect = records[index].fault != nil
            let fault = await slots.use(isSuspect: isSuspect) { [probe] in await probe(target, check) }
            take(fault, of: index)
            let jitter = Double(check.jitter) / 100
            next = max(next + interval * Double.random(in: (1 - jitter)...(1 + jitter)), clock.now)
        }
    }

    private func take(_ fault: String?, of index: Int) {
        records[index].fault = fault
        records[index].checks += 1
        let time = clock.now - began
        let isNew = records[index].health.take(isWell: fault == nil, at: time)
        let (target, state) = (records[index].target, records[index].health.state)
        ledger.note(target.server, of: target.pool, isWell: fault == nil, state, at: time)
        guard isNew else { return }
        if records[index].checks > records[index].check.rise || state == .down {
            let reason = fault.map { ": \($0)" } ?? ""
            effects.log("server \"\(target.server)\" of pool \"\(target.pool)\" is \(state)\(reason)")
        }
    }

    /// Tells the stage what is new; returns how long to wait before the next time.
    private func tell() async -> Duration {
        let step = ledger.step()
        for pool in step.died {
            effects.log(
                "ALL SERVERS OF POOL \"\(pool)\" ARE DOWN by their checks: what is left of it is not taken out any more"
            )
        }
        for pool in step.revived { effects.log("pool \"\(pool)\" has servers again that are up") }
        guard !(step.up.isEmpty && step.down.isEmpty) else { return Self.pace }
        do {
            try await effects.change(step.request, step.reason)
            ledger.done(step)
            refusal = nil
            return Self.pace
        } catch is CancellationError {
            return Self.pause
        } catch {
            if refusal != "\(error)" { effects.log("cannot tell the stage, and will try again: \(error)") }
            refusal = "\(error)"
            return Self.pause
        }
    }

    /// Answers `sluicectl stats HOOK --stage STAGE --top checks`.
    public func answer(_ question: JSON) throws -> StageTable {
        _ = try question.decode(Question.self)
        return table
    }

    /// What the checks find.
    var table: StageTable {
        let rows: [[JSON]] = records.map { record in
            [
                .string(record.target.server), .string(record.target.pool), .string(record.check.kind.rawValue),
                .string("\(record.health.state)"), .integer(Int64(record.checks)),
                record.fault.map { .string(String($0.prefix(200))) } ?? .null,
            ]
        }
        return StageTable(columns: ["server", "pool", "check", "state", "checks", "fault"], rows: rows)
    }

    private struct Question: Decodable {
        enum Top: String, Decodable, CaseIterable {
            case checks
        }

        var top: Top
    }
}

extension HealthLedger.Step {
    /// What `change` is asked for.
    var request: JSON {
        ["health": ["up": .array(up.map { .string($0) }), "down": .array(down.map { .string($0) })]]
    }

    var reason: String {
        let lists = [("down", down), ("up", up)].filter { !$0.1.isEmpty }
        return "health checks find "
            + lists.map { state, names in
                let more = names.count > 8 ? " and \(names.count - 8) more" : ""
                return "\(names.prefix(8).joined(separator: ", "))\(more) \(state)"
            }.joined(separator: "; ")
    }
}
