// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension Configuration {
    /// What each part cannot see for itself.
    func check(_ matching: Matching, isIngress: Bool) throws(StageError) {
        if isIngress { try checkIngress() }
        try atMost(Self.maximumClasses, classes.count, "classes", "classes")
        guard matching.controls <= Self.maximumControls else {
            throw StageError(
                "takes \(matching.controls) rules, a port on either side is two; at most \(Self.maximumControls) are "
                    + "possible", at: "control")
        }
        var names: Set<String> = [Self.other, Self.notIP]
        for (index, trafficClass) in classes.enumerated() {
            do {
                try trafficClass.check()
            } catch {
                throw StageError(error.message, at: "classes[\(index)].\(error.path)")
            }
            guard names.insert(trafficClass.name).inserted else {
                throw StageError("\"\(trafficClass.name)\" is the name of another row", at: "classes[\(index)].name")
            }
        }
        try atMost(Self.maximumMarkMasks, matching.masks.count, "classes", "different masks of marks")
        try atMost(Self.maximumCgroups, matching.cgroups.count, "classes", "different cgroups")
        try checkPrefixes(matching)
    }

    private func checkIngress() throws(StageError) {
        func refuse(_ path: String) -> StageError { StageError("only possible at tc-egress", at: path) }
        if !sourceGuard.isEmpty { throw refuse("source-guard") }
        for (index, trafficClass) in classes.enumerated() {
            if trafficClass.pace != nil { throw refuse("classes[\(index)].pace") }
            // Whose socket it is, is found out later.
            if !trafficClass.conditions.cgroups.isEmpty { throw refuse("classes[\(index)].cgroup") }
        }
    }

    private func checkPrefixes(_ matching: Matching) throws(StageError) {
        let lists = [("source-guard", sourceGuard), ("allow", allow)]
        for (name, prefixes) in lists {
            var seen: Set<IPPrefix> = []
            for (index, prefix) in prefixes.enumerated() where !seen.insert(prefix).inserted {
                throw StageError("\(prefix) is there twice", at: "\(name)[\(index)]")
            }
        }
        var blocked: [IPPrefix: String] = [:]
        for (index, block) in block.enumerated() {
            guard isLabel(block.reason) else {
                throw StageError(Self.labels(block.reason), at: "block[\(index)].reason")
            }
            for prefix in block.prefixes {
                if let reason = blocked.updateValue(block.reason, forKey: prefix) {
                    throw StageError(
                        "\(prefix) is there already, with the reason \"\(reason)\"", at: "block[\(index)].prefix")
                }
            }
        }
        try atMost(Self.maximumReasons, blockReasons.count, "block", "different reasons")
        let count =
            sourceGuard.count + allow.count + blocked.count
            + matching.conditions.reduce(0) { $0 + $1.source.count + $1.destination.count }
        guard count <= Self.maximumPrefixes else {
            throw StageError("has \(count) prefixes in all its lists; at most \(Self.maximumPrefixes) are possible")
        }
    }

    private func atMost(_ limit: Int, _ count: Int, _ path: String, _ things: String) throws(StageError) {
        guard count <= limit else {
            throw StageError("has \(count) \(things); at most \(limit) are possible", at: path)
        }
    }

    static func labels(_ text: String) -> String {
        "\"\(text)\": expected 1 to 64 letters, digits, spaces and -_.:/"
    }
}

/// Whether a text may be the label of a counter.
private func isLabel(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count) && text.first != " " && text.last != " "
        && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || " -_.:/".contains($0)) }
}

extension TrafficClass {
    func check() throws(StageError) {
        guard isLabel(name) else { throw StageError(Configuration.labels(name), at: "name") }
        if pace?.unit == .packets {
            throw StageError("\"\(pace!)\": a pace is of bits, such as 50Mbit", at: "pace")
        }
        // Else the class would match nothing.
        if conditions.sourcePort != nil || conditions.destinationPort != nil,
            let other = conditions.protocols.first(where: { !$0.hasPorts })
        {
            throw StageError("\(other) has no ports", at: "protocol")
        }
        if set.mss != nil, !conditions.protocols.isEmpty, !conditions.protocols.contains(.tcp) {
            throw StageError("only TCP has one, which the class leaves out", at: "set.mss")
        }
        for cgroup in conditions.cgroups where !cgroup.hasPrefix("/") && !cgroup.contains(".") {
            throw StageError(
                "\"\(cgroup)\": expected a path below the mount of cgroup2, such as /edge.slice/backup, or a unit such as "
                    + "backup.service", at: "cgroup")
        }
    }
}
