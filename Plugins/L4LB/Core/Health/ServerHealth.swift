// SPDX-License-Identifier: Apache-2.0

/// What the results of one server's checks make of it.
struct ServerHealth: Sendable {
    enum State: Sendable { case unknown, up, down }

    private let check: HealthCheck
    private(set) var state = State.unknown
    /// Results in a row that speak for another state.
    private var successes = 0
    private var failures = 0
    /// Since when there is no failure any more.
    private var wellSince: Duration?
    /// When it last came up again; nil when it has not been down.
    private var recovered: Duration?
    /// How often in a row it came up only to go down soon.
    private var flaps = 0

    init(_ check: HealthCheck) {
        self.check = check
    }

    /// Takes a result; true when the state is another then.
    mutating func take(isWell: Bool, at time: Duration) -> Bool {
        successes = isWell ? successes + 1 : 0
        failures = isWell ? 0 : failures + 1
        wellSince = isWell ? wellSince ?? time : nil
        if state != .up, successes >= check.rise, time - (wellSince ?? time) >= probation {
            if state == .down { recovered = time }
            state = .up
            return true
        }
        if state != .down, failures >= check.fall {
            let isFlap = recovered.map { time - $0 < check.dampening.duration } ?? false
            flaps = isFlap ? flaps + 1 : 0
            state = .down
            return true
        }
        return false
    }

    /// For how long it must be well to come up again.
    private var probation: Duration {
        guard flaps > 0 else { return .zero }
        let doubled = check.interval.duration * check.rise * (1 << min(flaps, 20))
        return min(doubled, check.dampening.duration)
    }
}
