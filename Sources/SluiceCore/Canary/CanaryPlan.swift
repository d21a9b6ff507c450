// SPDX-License-Identifier: Apache-2.0

internal import SluiceAPI

/// What was asked of a canary, checked: how it is kept in the records.
struct CanaryPlan: Codable, Equatable {
    /// In percent, a step each; they rise.
    var shares: [Double]
    /// How long each step lasts.
    var seconds: Double
    /// As `CanaryBound` writes them.
    var abortIf: [String]
    var minPackets: Int

    /// As many as the splitter has thresholds for.
    static let maxSteps = 16
    /// Thirty days: longer is no trial any more.
    static let maxSeconds = 2_592_000.0

    init(_ request: CanaryRequest) throws(APIErrorBody) {
        func refused(_ message: String) -> APIErrorBody { APIErrorBody(code: "invalid-request", message: message) }
        guard (1...Self.maxSteps).contains(request.shares.count) else {
            throw refused("canary: give 1 to \(Self.maxSteps) shares, as in 1%,10%,50%")
        }
        guard request.shares.allSatisfy({ $0 >= 0.01 && $0 < 100 }) else {
            throw refused(
                "canary \(request.shares.map { "\($0)%" }.joined(separator: ",")): a share is at least 0.01% and less than 100%; all of the traffic is what a change "
                    + "without a canary gives")
        }
        guard zip(request.shares, request.shares.dropFirst()).allSatisfy({ $0 < $1 }) else {
            let list = request.shares.map(Percent.text).joined(separator: ",")
            throw refused("canary \(list): each step's share must be above the one before")
        }
        guard request.seconds >= 0.1, request.seconds <= Self.maxSeconds else {
            throw refused("canary: each step takes 0.1 seconds to 30 days, not \(request.seconds) s")
        }
        let minPackets = request.minPackets ?? CanaryRequest.defaultMinimum
        guard minPackets >= 1 else {
            throw refused("canary: at least 1 packet is needed to judge by, not \(minPackets)")
        }
        let bounds = request.abortIf ?? CanaryBound.defaults
        guard !bounds.isEmpty else { throw refused("canary: without a bound in abortIf there is nothing to judge by") }
        for text in bounds { _ = try CanaryBound(parsing: text) }
        shares = request.shares
        seconds = request.seconds
        abortIf = bounds
        self.minPackets = minPackets
    }

    var bounds: [CanaryBound] { abortIf.compactMap { try? CanaryBound(parsing: $0) } }
}
