// SPDX-License-Identifier: Apache-2.0

/// How many lines a stage may add to the events: so many a second in the long run, and some at once.
struct ReportAllowance {
    static let perSecond = 10.0
    static let burst = 50.0

    private var room = burst
    private var last: ContinuousClock.Instant?
    private var leftOut = 0

    /// Nil if there are too many; else how many were left out since the last that was not.
    mutating func take(at time: ContinuousClock.Instant) -> Int? {
        if let last { room = min(Self.burst, room + (time - last) / .seconds(1) * Self.perSecond) }
        last = time
        guard room >= 1 else {
            leftOut += 1
            return nil
        }
        room -= 1
        defer { leftOut = 0 }
        return leftOut
    }
}
