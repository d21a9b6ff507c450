// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

/// How a change is tried on a share of the flows first.
struct CanaryOptions: ParsableArguments {
    @Option(
        help: .init(
            "Try it on a share of the flows first, or on rising shares: 5%, 1%,10%,50%.", valueName: "shares"))
    var canary: String?

    @Option(
        name: .customLong("for"),
        help: .init("How long each share is tried: 500ms, 60s, 5m, 2h.", valueName: "time"))
    var time: String?

    @Option(
        help: .init(
            """
            Abort when the new generation's share of what its packets get departs from the live one's by more than that \
            many percentage points: WHAT>+X% or WHAT<-X%, of \(CanaryBound.quantities.joined(separator: ", ")). May be \
            repeated (default: \(CanaryBound.defaults.joined(separator: ", "))).
            """, valueName: "bound"))
    var abortIf: [String] = []

    @Option(
        help: .init(
            "Judge within a step by no fewer packets than that (default: \(CanaryRequest.defaultMinimum)).",
            valueName: "n"))
    var minPackets: Int?

    @Flag(help: "Return once the canary is under way; it goes on by itself.")
    var noWait = false

    static let defaultSeconds = 60.0

    /// Whether to wait for its end.
    var waits: Bool { canary != nil && !noWait }

    func validate() throws {
        if canary == nil, time != nil || !abortIf.isEmpty || minPackets != nil || noWait {
            throw ValidationError("--for, --abort-if, --min-packets and --no-wait go with --canary")
        }
        _ = try request()
    }

    /// What is asked for; nil for no canary.
    func request() throws -> CanaryRequest? {
        guard let canary else { return nil }
        let shares = try canary.split(separator: ",", omittingEmptySubsequences: false).map { text in
            guard text.hasSuffix("%"), let share = Double(text.dropLast()), share.isFinite else {
                throw ValidationError("--canary \(canary): write percentages, as in 5% or 1%,10%,50%")
            }
            return share
        }
        let seconds = try time.map { text in
            guard let seconds = Seconds.parse(text) else {
                throw ValidationError("--for \(text): write a number with ms, s, m, h or d, as in 60s")
            }
            return seconds
        }
        for bound in abortIf {
            do { _ = try CanaryBound(parsing: bound) } catch { throw ValidationError(error.message) }
        }
        return CanaryRequest(
            shares: shares, seconds: seconds ?? Self.defaultSeconds, abortIf: abortIf.isEmpty ? nil : abortIf,
            minPackets: minPackets)
    }
}
