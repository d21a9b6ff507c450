// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension Rule {
    /// Whether its conditions can all hold for one packet.
    /// - Parameter time: Now, in seconds since 1970; 0 if that is not known.
    func check(at time: Int64 = 0) throws(StageError) {
        if let source, let destination, source.isIPv4 != destination.isIPv4 {
            throw StageError("\(destination) is of another family than the rule's source, \(source)", at: "destination")
        }
        if let isIPv4, let number = `protocol`?.number, number == (isIPv4 ? 58 : 1) {
            let (name, family, other) = isIPv4 ? ("icmpv6", "IPv4", "icmp") : ("icmp", "IPv6", "icmpv6")
            throw StageError("\(family) has no \(name); expected \(other)", at: "protocol")
        }
        try checkTransport()
        if let name, !(1...63).contains(name.utf8.count) {
            throw StageError("a name has 1 to 63 bytes", at: "name")
        }
        try checkAction(at: time)
        guard conditions.isEmpty else { return }
        throw StageError(
            "has no condition and would \(action.rawValue) every packet; "
                + "if that is meant, write source: 0.0.0.0/0 and another with ::/0")
    }

    private func checkAction(at time: Int64) throws(StageError) {
        guard (action == .limit) == (limit != nil) else {
            throw action == .limit
                ? StageError("the action limit needs one", at: "limit")
                : StageError("only the action limit has one; this rule's is \(action.rawValue)", at: "limit")
        }
        if let end {
            guard lifetime == nil else { throw StageError("expected either ttl or until", at: "until") }
            guard end.seconds > time else {
                throw StageError("\(end) has passed: the rule would never match", at: "until")
            }
        }
    }

    private func checkTransport() throws(StageError) {
        let ports = [("source-port", sourcePort), ("destination-port", destinationPort)].filter { $0.1 != nil }
        let icmp = [("icmp-type", icmpType), ("icmp-code", icmpCode)].filter { $0.1 != nil }
        for (key, _) in ports {
            guard `protocol`?.hasPorts ?? true else {
                throw StageError("\(`protocol`!) has no ports; tcp, udp, udplite and sctp do", at: key)
            }
        }
        if tcpFlags != nil, let `protocol`, `protocol` != .tcp {
            throw StageError("\(`protocol`) has no TCP flags; leave the protocol out, or make it tcp", at: "tcp-flags")
        }
        for (key, _) in icmp {
            guard `protocol`.map({ $0 == .icmp || $0 == .icmpv6 }) ?? true else {
                throw StageError("\(`protocol`!) has no types and codes; icmp and icmpv6 do", at: key)
            }
            guard ports.isEmpty, tcpFlags == nil else {
                throw StageError("no packet has both ports or TCP flags and an ICMP header", at: key)
            }
        }
        if fragment == .later, payload != nil {
            throw StageError("where a later fragment's payload begins nobody can see", at: "payload")
        }
        if fragment == .later, let key = (ports + icmp).first?.0 ?? tcpFlags.map({ _ in "tcp-flags" }) {
            throw StageError("later fragments have no ports, flags, types and codes to see", at: key)
        }
    }

    /// What it does, and how long, in words.
    var deed: String {
        let verb = limit.map { "limit \($0.summary)" } ?? action.rawValue
        let parts = [
            "\(dryRun ? "would " : "")\(verb)", lifetime.map { "for \($0)" }, end.map { "until \($0)" },
            sample.map { "sample \($0)" },
        ]
        return parts.compactMap(\.self).joined(separator: ", ")
    }

    /// Its conditions in words.
    var conditions: [String] {
        let parts: [(String, String?)] = [
            ("from", source?.description), ("to", destination?.description), ("protocol", `protocol`?.description),
            ("source port", sourcePort?.description), ("destination port", destinationPort?.description),
            ("flags", tcpFlags?.description), ("ICMP type", icmpType?.description),
            ("ICMP code", icmpCode?.description), ("length", length?.description), ("TTL", ttl?.description),
            ("DSCP", dscp?.description), ("fragment", fragment?.rawValue), ("VLAN", vlan?.description),
            ("inner VLAN", innerVLAN?.description), ("payload", payload?.description),
        ]
        return parts.compactMap { label, value in value.map { "\(label) \($0)" } }
    }
}
