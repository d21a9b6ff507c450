// SPDX-License-Identifier: Apache-2.0

/// Which servers the stage is to take for down, of those that are found so.
struct HealthLedger: Sendable {
    private struct Finding {
        var state: ServerHealth.State
        /// Since when all checks failed; nil when the last did not.
        var failingSince: Duration?
        var lastSuccess: Duration?
    }

    /// The servers of each pool that is checked.
    private let pools: [(name: String, servers: Set<String>)]
    /// By pool and server.
    private var findings: [String: [String: Finding]] = [:]
    /// What the stage was told; a server that is not in it, nothing.
    private var told: [String: Bool] = [:]
    private var dead: Set<String> = []

    /// What there is to do.
    struct Step: Equatable, Sendable {
        var up: [String] = []
        var down: [String] = []
        /// Pools all of whose servers have been found down, and those of which that is over.
        var died: [String] = []
        var revived: [String] = []

        var isEmpty: Bool { self == Step() }
    }

    init(_ pools: [Pool]) {
        self.pools = pools.filter { $0.check != nil }.map { ($0.name, Set($0.servers)) }
    }

    /// Takes a check's result, and what the server is by it.
    mutating func note(_ server: String, of pool: String, isWell: Bool, _ state: ServerHealth.State, at time: Duration)
    {
        var finding = findings[pool]?[server] ?? Finding(state: state)
        finding.state = state
        finding.failingSince = isWell ? nil : finding.failingSince ?? time
        if isWell { finding.lastSuccess = time }
        findings[pool, default: [:]][server] = finding
    }

    /// A server is down when one of its pools finds it so, and some other server of that pool has been well since it
    /// began to fail. What all of a pool's servers have in common is rather the check's fault than theirs: those that are
    /// left of it stay as they are.
    mutating func step() -> Step {
        var step = Step()
        let hopeless = Set(
            pools.filter { pool in pool.servers.allSatisfy { findings[pool.name]?[$0]?.state == .down } }.map(\.name))
        step.died = hopeless.subtracting(dead).sorted()
        step.revived = dead.subtracting(hopeless).sorted()
        dead = hopeless
        var states: [String: [ServerHealth.State]] = [:]
        var mayGo: Set<String> = []
        for (pool, servers) in findings {
            let lastSuccess = servers.values.compactMap(\.lastSuccess).max() ?? .zero
            for (server, finding) in servers {
                states[server, default: []].append(finding.state)
                guard finding.state == .down, let begin = finding.failingSince else { continue }
                // It has not been well since then itself.
                if lastSuccess > begin, !hopeless.contains(pool) { mayGo.insert(server) }
            }
        }
        for (server, states) in states {
            if states.contains(.down) {
                if told[server] != false, mayGo.contains(server) { step.down.append(server) }
            } else if !states.contains(.unknown), told[server] != true {
                step.up.append(server)
            }
        }
        step.up.sort()
        step.down.sort()
        return step
    }

    /// The stage was told so.
    mutating func done(_ step: Step) {
        for server in step.up { told[server] = true }
        for server in step.down { told[server] = false }
    }
}
