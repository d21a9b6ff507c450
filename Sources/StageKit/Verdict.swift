// SPDX-License-Identifier: Apache-2.0

extension Verdict {
    /// Its number in an XDP stage: `enum xdp_action`, and `SLUICE_NEXT` for `next`.
    public var xdp: UInt32 {
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
    public init?(xdp number: UInt32) {
        guard let verdict = Verdict.allCases.first(where: { $0.xdp == number }) else { return nil }
        self = verdict
    }
}
