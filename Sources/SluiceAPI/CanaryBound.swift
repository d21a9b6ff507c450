// SPDX-License-Identifier: Apache-2.0

/// How far the candidate of a canary may depart from the stable generation before it is aborted: `drop>+1%` when its
/// share of dropped packets is more than one percentage point above, `drop<-5%` when it is more than five below.
public struct CanaryBound: Sendable, Equatable, CustomStringConvertible {
    /// What is compared: one of ``quantities``.
    public var quantity: String
    /// Whether it must not rise; otherwise it must not fall.
    public var isAbove: Bool
    /// By how much at most, in percentage points.
    public var points: Double

    /// What a splitter counts. A number that is no verdict counts as `aborted`, as the kernel takes it.
    public static let quantities = ["drop", "aborted", "fallthrough", "pass", "tx", "redirect"]

    /// What holds unless something else is asked for.
    public static let defaults = ["drop>+1%", "aborted>+0.1%", "fallthrough>+0%"]

    public init(parsing text: String) throws(APIErrorBody) {
        guard let match = text.wholeMatch(of: /([a-z]+)(>\+|<-)([0-9]+(\.[0-9]+)?)%/), let points = Double(match.3),
            points < 100
        else {
            throw APIErrorBody(
                code: "invalid-request",
                message: "abort-if \"\(text)\": write WHAT>+X% or WHAT<-X%, in percentage points, as in drop>+1%")
        }
        guard Self.quantities.contains(String(match.1)) else {
            throw APIErrorBody(
                code: "invalid-request",
                message: "abort-if \"\(text)\": there is no \"\(match.1)\" to compare; there are: "
                    + Self.quantities.joined(separator: ", "))
        }
        quantity = String(match.1)
        isAbove = match.2 == ">+"
        self.points = points
    }

    public var description: String {
        "\(quantity)\(isAbove ? ">+" : "<-")\(Percent.text(points))"
    }
}
