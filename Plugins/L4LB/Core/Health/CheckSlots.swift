// SPDX-License-Identifier: Apache-2.0

/// How many checks are under way at a time: a process has few descriptors. Servers that do not answer keep theirs for
/// long, so they have to do with half of them, and never hold up those that do.
actor CheckSlots {
    private let limits: (all: Int, suspects: Int)
    private var taken = (all: 0, suspects: 0)
    private var waiting: [(isSuspect: Bool, turn: CheckedContinuation<Void, Never>)] = []

    init(_ count: Int = 40) {
        limits = (count, max(1, count / 2))
    }

    func use<Result: Sendable>(isSuspect: Bool, _ body: @Sendable () async -> Result) async -> Result {
        if !isFree(isSuspect) {
            await withCheckedContinuation { waiting.append((isSuspect, $0)) }
        } else {
            take(isSuspect)
        }
        let result = await body()
        taken.all -= 1
        if isSuspect { taken.suspects -= 1 }
        while let next = waiting.firstIndex(where: { isFree($0.isSuspect) }) {
            let (isSuspect, turn) = waiting.remove(at: next)
            take(isSuspect)
            turn.resume()
        }
        return result
    }

    private func isFree(_ isSuspect: Bool) -> Bool {
        taken.all < limits.all && (!isSuspect || taken.suspects < limits.suspects)
    }

    private func take(_ isSuspect: Bool) {
        taken.all += 1
        if isSuspect { taken.suspects += 1 }
    }
}
