// SPDX-License-Identifier: Apache-2.0

/// Percentages for people.
public enum Percent {
    /// `5%`, `0.1%`, `33.33%`: at most four digits behind the point.
    public static func text(_ value: Double) -> String {
        let parts = Int64((value * 10_000).rounded())
        var digits = String(parts.magnitude % 10_000)
        digits = String(repeating: "0", count: 4 - digits.count) + digits
        while digits.last == "0" { digits.removeLast() }
        return "\(parts < 0 ? "-" : "")\(parts.magnitude / 10_000)\(digits.isEmpty ? "" : "." + digits)%"
    }

    /// What was measured: two digits behind the point do for people.
    public static func rounded(_ value: Double) -> String { text((value * 100).rounded() / 100) }
}

/// Lengths of time, as people write and read them.
public enum Seconds {
    /// `60 s`, `2.5 s`; with at most one digit behind the point.
    public static func text(_ seconds: Double) -> String {
        let tenths = Int64((seconds * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(abs(tenths % 10)) s"
    }

    /// The seconds of `90s`, `500ms`, `5m`, `2h` or `1d`; nil for anything else.
    public static func parse(_ text: String) -> Double? {
        guard let match = text.wholeMatch(of: /([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)/), let value = Double(match.1) else {
            return nil
        }
        let units = ["ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400]
        return units[String(match.2)].map { value * $0 }
    }
}
