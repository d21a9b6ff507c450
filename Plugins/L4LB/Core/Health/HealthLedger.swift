// SPDX-License-Identifier: Apache-2.0

/// Which servers the stage is to take for down, of those that are found so.
struct HealthLedger: Sendable {
    /// The servers of each pool that is checked.
    private let pools: [(name: String, servers: Set<String>)]
    /// By the pool that checks it.
    private var states: [String: [String: ServerHealth.State]] = [:]
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

    mutating func note(_ server: String, of pool: String, is state: ServerHealth.State) {
        states[server, default: [:]][pool] = state
    }

    /// A server is down when one of its pools finds it so. What all of a pool's servers have in common is rather the
    /// check's fault than theirs, so those that are left of it stay as they are.
    mutating func step() -> Step {
        var step = Step()
        let failing = Set(states.filter { $0.value.values.contains(.down) }.keys)
        let hopeless = pools.filter { $0.servers.isSubset(of: failing) }
        let names = Set(hopeless.map(\.name))
        step.died = names.subtracting(dead).sorted()
        step.revived = dead.subtracting(names).sorted()
        dead = names
        let kept = hopeless.reduce(into: Set<String>()) { $0.formUnion($1.servers) }
        for (server, states) in states {
            if failing.contains(server) {
                if told[server] != false, !kept.contains(server) { step.down.append(server) }
            } else if !states.values.contains(.unknown), told[server] != true {
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
