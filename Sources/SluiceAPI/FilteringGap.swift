// SPDX-License-Identifier: Apache-2.0

/// How long a wanted chain filtered nothing, the last time since the machine was booted: until its root was attached.
public struct FilteringGap: Codable, Sendable, Equatable {
    public enum Start: String, Codable, Sendable {
        /// The start of the machine's first process.
        case boot
        /// The moment that the interface or the cgroup appeared.
        case interface, cgroup
    }

    /// What it began with.
    public var since: Start
    public var milliseconds: Double
    /// When the root was attached, ISO 8601, UTC.
    public var until: String

    public init(since: Start, milliseconds: Double, until: String) {
        self.since = since
        self.milliseconds = milliseconds
        self.until = until
    }
}

extension FilteringGap: CustomStringConvertible {
    /// `nothing was filtered for 3.21 s after the boot`.
    public var description: String {
        let hundredths = Int((milliseconds / 10).rounded())
        let seconds = "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
        return "nothing was filtered for \(seconds) s after the \(since == .boot ? "boot" : "\(since) appeared")"
    }
}
