// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension LiveRule {
    /// Reads what ``packed(in:)`` wrote; nil where nobody has written yet.
    init?(_ bytes: Bytes, in context: PlanContext) {
        guard bytes.raw.count == Self.size else { return nil }
        var reader = Reader(bytes.raw)
        let expiry: UInt64 = reader.number()
        let addresses = (0..<4).map { _ in reader.take(16) }
        let limit = Limit(packed: Bytes(reader.take(Limit.size)))
        order = reader.number()
        let threshold: UInt32 = reader.number()
        let header = reader.take(6)
        let offset: UInt16 = reader.number()
        let (payload, mask) = (reader.take(16), reader.take(16))
        let conditions = (0..<Self.conditions).map { _ in
            let number: UInt16 = reader.number()
            let ends: [UInt16] = (0..<2 * Self.ranges).map { _ in reader.number() }
            return (number, (0..<Self.ranges).map { (ends[$0], ends[$0 + Self.ranges]) }.filter { $0 <= $1 })
        }
        let name = reader.take(64).prefix { $0 != 0 }
        let (added, freed): (UInt64, UInt64) = (reader.number(), reader.number())
        guard added > 0, header[0] < Rule.Action.allCases.count else { return nil }
        let action = Rule.Action.allCases[Int(header[0])]
        (self.added, self.freed) = (Int64(added), freed == 0 ? nil : Int64(freed))

        rule = Rule(name: String(decoding: name, as: UTF8.self), action: action, dryRun: header[1] != 0)
        rule.source = Self.prefix(addresses[0], addresses[1])
        rule.destination = Self.prefix(addresses[2], addresses[3])
        rule.limit = action == .limit ? limit : nil
        rule.end = expiry == 0 ? nil : Moment(seconds: Int64(expiry / 1_000_000_000) - context.taiOffset)
        rule.sample = threshold == 0 ? nil : Share(Double(threshold) / Double(UInt32.max))
        if header[3] != 0 {
            let set = TCPFlags(rawValue: header[2])
            rule.tcpFlags = FlagsMatch(set: set, unset: TCPFlags(rawValue: header[3]).subtracting(set))
        }
        let length = Int(header[5])
        rule.payload = try? PayloadMatch(
            offset: Int(offset), bytes: Bytes(Array(payload.prefix(length))), mask: Bytes(Array(mask.prefix(length))))
        for (number, ranges) in conditions.prefix(Int(header[4])) {
            set(number, ranges.map { NumberRange(UInt32($0), UInt32($1)) })
        }
    }

    private mutating func set(_ number: UInt16, _ ranges: [NumberRange]) {
        if let path = Self.numbers.first(where: { $0.number == number })?.path {
            rule[keyPath: path] = NumberSet(ranges)
        } else if number == Self.protocolNumber, let first = ranges.first?.first {
            rule.protocol = IPProtocol(UInt8(first))
        } else if number == Self.fragmentNumber {
            rule.fragment = Self.fragments.first { $0.range == ranges.first }?.fragment
        }
    }

    private static func prefix(_ address: [UInt8], _ mask: [UInt8]) -> IPPrefix? {
        let length = mask.reduce(0) { $0 + $1.nonzeroBitCount }
        let mapping = IPAddress(bytes: [0, 0, 0, 0]).mapped.prefix(12)
        if length >= 96, address.starts(with: mapping) {
            return IPPrefix(IPAddress(bytes: Array(address.dropFirst(12))), length: length - 96)
        }
        return length == 0 ? nil : IPPrefix(IPAddress(bytes: address), length: length)
    }
}

/// Numbers of the machine's byte order, one after the other.
private struct Reader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) {
        rest = bytes[...]
    }

    mutating func take(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    mutating func number<Number: FixedWidthInteger>() -> Number {
        Bytes(take(MemoryLayout<Number>.size)).number()
    }
}
