// SPDX-License-Identifier: Apache-2.0

extension Verdict {
    /// Its number in a stage, at every hook: `SLUICE_DROP` and its like, which are XDP's own (`enum xdp_action`).
    public var number: UInt32 {
        switch self {
        case .aborted: 0
        case .drop: 1
        case .pass: 2
        case .tx: 3
        case .redirect: 4
        case .next: 5
        }
    }

    /// The verdict of a number; nil when it is none.
    public init?(number: UInt32) {
        guard let verdict = Verdict.allCases.first(where: { $0.number == number }) else { return nil }
        self = verdict
    }
}
