// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension Configuration {
    /// The configuration in words, for `sluicectl plan`.
    func summary(isIngress: Bool) -> [String] {
        var lines: [String] = []
        let direction = isIngress ? "from" : "to"
        if !sourceGuard.isEmpty { lines.append("drop what is not from \(list(sourceGuard))") }
        if !allow.isEmpty { lines.append("neither block nor limit what goes \(direction) \(list(allow))") }
        for reason in blockReasons {
            let prefixes = block.filter { $0.reason == reason }.flatMap(\.prefixes)
            lines.append("drop what goes \(direction) \(list(prefixes)) (\(reason))")
        }
        if !control.isEmpty { lines.append("never limit \(control.map(\.summary).joined(separator: ", "))") }
        lines += classes.map { "class \($0.name): \($0.conditions.summary); \($0.actions(horizon))" }
        lines.append("count \(lengths == .wire ? "each segment with its headers" : "packets as the device gets them")")
        if link == .ip { lines.append("packets begin with the IP header") }
        if let sample { lines.append("sample up to \(sample.perSecond) packets a second of the rest") }
        return lines
    }

    private func list(_ prefixes: [IPPrefix]) -> String {
        let shown = prefixes.prefix(8).map(\.description).joined(separator: ", ")
        return prefixes.count > 8 ? "\(shown) and \(prefixes.count - 8) more" : shown
    }
}

extension Conditions {
    fileprivate var summary: String {
        func words(_ name: String, _ values: [some CustomStringConvertible]) -> String? {
            guard !values.isEmpty else { return nil }
            let shown = values.prefix(4).map(\.description).joined(separator: " or ")
            return "\(name) \(shown)" + (values.count > 4 ? " and \(values.count - 4) more" : "")
        }
        let parts = [
            words("cgroup", cgroups), words("mark", marks), words("from", source), words("to", destination),
            words("protocol", protocols), words("source port", [sourcePort].compactMap(\.self)),
            words("destination port", [destinationPort].compactMap(\.self)),
        ].compactMap(\.self)
        return parts.isEmpty ? "all that is left" : parts.joined(separator: ", ")
    }
}

extension TrafficClass {
    fileprivate func actions(_ horizon: Horizon) -> String {
        var parts = ["count"]
        if let police {
            let unit = police.rate.unit == .bytes ? "bytes" : "packets"
            parts.append("drop what is above \(police.rate) a second, \(police.burst) \(unit) at once")
        }
        if let pace { parts.append("pace at \(pace) a second, at most \(horizon) late") }
        if let dscp = set.dscp { parts.append("set DSCP \(dscp)") }
        if let mark = set.mark { parts.append("set mark \(mark)") }
        if let mss = set.mss { parts.append("segments of \(mss) bytes at most") }
        if let sample { parts.append("sample up to \(sample)") }
        return parts.joined(separator: ", ")
    }
}
