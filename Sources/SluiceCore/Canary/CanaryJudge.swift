// SPDX-License-Identifier: Apache-2.0

internal import SluiceAPI

/// Tells whether a candidate departs from the stable generation by more than chance and a bound allow.
struct CanaryJudge {
    let bounds: [CanaryBound]

    /// How many standard errors beyond a bound are no chance any more.
    private static let certainty = 3.0

    /// What speaks against the candidate; nil when nothing does.
    func verdict(on counts: CanaryCounts) -> String? {
        bounds.lazy.compactMap { objection($0, counts) }.first
    }

    private func objection(_ bound: CanaryBound, _ counts: CanaryCounts) -> String? {
        guard let tried = counts.tried.share(of: bound.quantity) else { return nil }
        let stable = counts.stable.share(of: bound.quantity) ?? 0
        let excess = bound.isAbove ? tried - stable : stable - tried
        guard excess > bound.points + Self.certainty * error(bound.quantity, counts) else { return nil }
        return
            "\(bound.quantity) \(Percent.rounded(tried)) of \(counts.tried.packets) packets, against \(Percent.rounded(stable)) of "
            + "\(counts.stable.packets): more than \(bound)"
    }

    /// The standard error of the difference of two shares, in percentage points, as if packets were independent.
    private func error(_ quantity: String, _ counts: CanaryCounts) -> Double {
        let sides = [counts.stable, counts.tried].filter { $0.packets > 0 }
        let packets = sides.map { Double($0.packets) }
        let hits = sides.map { Double($0.verdicts[quantity]?.packets ?? 0) }.reduce(0, +)
        let pooled = min(1, hits / packets.reduce(0, +))
        return 100 * (pooled * (1 - pooled) * packets.map { 1 / $0 }.reduce(0, +)).squareRoot()
    }
}
