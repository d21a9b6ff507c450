// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A rule that was added to the stage while it was live: a `struct dos_live_rule`.
struct LiveRule: Equatable {
    /// With its name, and when it ends rather than for how long it lives.
    var rule: Rule
    /// The lower first.
    var order: UInt32
    /// In seconds since 1970.
    var added: Int64
    /// When its place became free; nil for one in use.
    var freed: Int64?

    /// Bytes of the struct.
    static let size = 432
    /// `DOS_CONDITIONS` and `DOS_RANGES`.
    static let conditions = 8
    static let ranges = 4

    /// Conditions on numbers: `enum dos_number` of bpf/volumetric-dos/types.h.
    static let numbers: [(number: UInt16, path: any WritableKeyPath<Rule, NumberSet?> & Sendable)] = [
        (1, \.sourcePort), (2, \.destinationPort), (3, \.length), (5, \.ttl), (6, \.dscp), (8, \.icmpType),
        (9, \.icmpCode), (10, \.vlan), (11, \.innerVLAN),
    ]
    static let protocolNumber: UInt16 = 0
    static let fragmentNumber: UInt16 = 7
    static let familyNumber: UInt16 = 12

    /// Fragments as `dos_packet.service` has them.
    static let fragments: [(fragment: Fragment, range: NumberRange)] = [
        (.no, NumberRange(0, 0)), (.first, NumberRange(1, 1)), (.later, NumberRange(2, 2)), (.any, NumberRange(1, 2)),
    ]
}

extension Rule {
    /// The ranges that numbers of a packet must be in.
    fileprivate var liveConditions: [(number: UInt16, ranges: [NumberRange])] {
        var conditions = LiveRule.numbers.compactMap { number, path in self[keyPath: path].map { (number, $0.ranges) } }
        if let number = `protocol`?.number {
            conditions.append((LiveRule.protocolNumber, [NumberRange(UInt32(number), UInt32(number))]))
        }
        if let fragment, let range = LiveRule.fragments.first(where: { $0.fragment == fragment })?.range {
            conditions.append((LiveRule.fragmentNumber, [range]))
        }
        // IPv4 is a part of IPv6 in the addresses that the program compares.
        if isIPv4 == false { conditions.append((LiveRule.familyNumber, [NumberRange(6, 6)])) }
        return conditions
    }

    /// - Throws: ``StageError`` for what only a rule of the configuration can have.
    func checkLive() throws(StageError) {
        let conditions = liveConditions
        guard conditions.count <= LiveRule.conditions else {
            throw StageError(
                "has \(conditions.count) conditions on numbers; a rule that is added live has at most "
                    + "\(LiveRule.conditions): put it into the configuration")
        }
        guard conditions.allSatisfy({ $0.ranges.count <= LiveRule.ranges }) else {
            throw StageError(
                "has a condition of more than \(LiveRule.ranges) ranges; put the rule into the configuration, or add "
                    + "several")
        }
        guard limit?.known.isEmpty ?? true else {
            throw StageError("a rule that is added live has none; put it into the configuration", at: "limit.known")
        }
    }
}

extension LiveRule {
    /// - Precondition: the rule has passed ``Rule/checkLive()``.
    func packed(in context: PlanContext) -> Bytes {
        var bytes = Bytes()
        bytes.append(bytes: rule.end.map { context.expiry($0.seconds).raw } ?? [UInt8](repeating: 0, count: 8))
        for prefix in [rule.source, rule.destination] {
            bytes.append(bytes: prefix?.address.mapped ?? [UInt8](repeating: 0, count: 16))
            bytes.append(
                bytes: prefix.map { IPPrefix.mappedMask(length: $0.length, isIPv4: $0.isIPv4) }
                    ?? [UInt8](repeating: 0, count: 16))
        }
        let limit = rule.limit ?? Limit(packetsPerSecond: 1)
        bytes.append(bytes: limit.packed(in: "rule \(rule.name ?? "")").raw)
        bytes.append(order)
        bytes.append(rule.sample?.threshold ?? 0)
        let flags = rule.tcpFlags
        let conditions = rule.liveConditions
        let mask = flags.map { $0.set.union($0.unset).rawValue } ?? 0
        let payload = UInt8(rule.payload?.bytes.raw.count ?? 0)
        bytes.append(bytes: [rule.actionNumber, rule.dryRun ? 1 : 0, flags?.set.rawValue ?? 0, mask])
        bytes.append(bytes: [UInt8(conditions.count), payload])
        bytes.append(UInt16(rule.payload?.offset ?? 0))
        bytes.append(bytes: rule.packedPayload)
        for index in 0..<Self.conditions {
            let condition = index < conditions.count ? conditions[index] : (number: 0, ranges: [])
            bytes.append(condition.number)
            for end in [\NumberRange.first, \NumberRange.last] {
                for range in 0..<Self.ranges {
                    // What is not in use ends before it begins.
                    let nothing: UInt16 = end == \NumberRange.first ? 1 : 0
                    bytes.append(
                        range < condition.ranges.count ? UInt16(condition.ranges[range][keyPath: end]) : nothing)
                }
            }
        }
        let name = Array((rule.name ?? "").utf8.prefix(63))
        bytes.append(bytes: name + [UInt8](repeating: 0, count: 64 - name.count))
        bytes.append(UInt64(added))
        bytes.append(UInt64(freed ?? 0))
        return bytes
    }
}
