// SPDX-License-Identifier: Apache-2.0

/// How a change is tried on a share of the flows before it gets all of them.
public struct CanaryRequest: Codable, Sendable, Equatable {
    /// The shares of the flows, in percent, a step each: `[5]`, or `[1, 10, 50]`. They rise, above 0 and below 100.
    public var shares: [Double]
    /// How long each step lasts, in seconds.
    public var seconds: Double
    /// What ends it early, as ``CanaryBound`` writes it: `drop>+1%`. Nil for ``CanaryBound/defaults``.
    public var abortIf: [String]?
    /// How many packets the candidate must have seen before it is judged in the middle of a step; nil for
    /// ``defaultMinimum``.
    public var minPackets: Int?

    /// The least number of the candidate's packets that it is judged by in the middle of a step.
    public static let defaultMinimum = 500

    public init(shares: [Double], seconds: Double, abortIf: [String]? = nil, minPackets: Int? = nil) {
        self.shares = shares
        self.seconds = seconds
        self.abortIf = abortIf
        self.minPackets = minPackets
    }
}

/// Ends a canary by hand.
public struct CanaryEndRequest: Codable, Sendable, Equatable {
    /// Kept in the audit trail.
    public var message: String

    public init(message: String = "") {
        self.message = message
    }
}

/// A canary that is under way.
public struct CanaryStatus: Codable, Sendable, Equatable {
    /// The generation that is tried; the chain's `live` one has the rest of the traffic.
    public var candidate: Int
    /// The candidate's share of the flows now, in percent.
    public var share: Double
    /// The shares of all steps, in percent.
    public var shares: [Double]
    /// Which of them it is at, from 1 on.
    public var step: Int
    /// How long each step lasts, in seconds.
    public var seconds: Double
    /// How long this step has been watched, in seconds; time when no manager ran does not count.
    public var elapsed: Double
    /// How long until the candidate is promoted if nothing happens, in seconds.
    public var remaining: Double
    /// What ends it early, as ``CanaryBound`` writes it.
    public var abortIf: [String]
    /// The least number of the candidate's packets that it is judged by in the middle of a step.
    public var minPackets: Int
    /// The verdicts of the live generation since the canary began, as the splitter saw them.
    public var stable: StageCounters
    /// The candidate's likewise.
    public var tried: StageCounters
    /// The candidate's stages.
    public var stages: [StageStatus]

    public init(
        candidate: Int, share: Double, shares: [Double], step: Int, seconds: Double, elapsed: Double,
        remaining: Double, abortIf: [String], minPackets: Int, stable: StageCounters, tried: StageCounters,
        stages: [StageStatus]
    ) {
        self.candidate = candidate
        self.share = share
        self.shares = shares
        self.step = step
        self.seconds = seconds
        self.elapsed = elapsed
        self.remaining = remaining
        self.abortIf = abortIf
        self.minPackets = minPackets
        self.stable = stable
        self.tried = tried
        self.stages = stages
    }
}
