// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples
internal import StageKit

/// What packets of an attack have in common: a rule before it has a name.
struct Pattern: Hashable {
    var destination: PrefixBits
    var source: PrefixBits?
    var conditions: [Condition]

    func matches(_ observation: Observation) -> Bool {
        destination.contains(observation.destinationAddress)
            && source.map { $0.contains(observation.sourceAddress) } ?? true
            && conditions.allSatisfy { $0.matches(observation) }
    }

    /// The same pattern has the same name whenever it is found, so that a rule that is there already is extended.
    var name: String {
        // FNV-1a.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in "\(destination.text) \(source?.text ?? "") \(words)".utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        let digits = String(hash >> 24, radix: 16)
        return "auto-" + String(repeating: "0", count: 10 - digits.count) + digits
    }

    /// Whether traffic like that is odd, whatever else comes: all from one place, or one port, or all alike. That all of
    /// it goes to one port is not.
    var isOdd: Bool { source != nil || conditions.contains(where: \.isOdd) }

    /// A rule that drops what matches.
    var rule: Rule {
        var rule = Rule(name: name, source: source?.prefix, destination: destination.prefix)
        for condition in conditions { condition.add(to: &rule) }
        return rule
    }

    /// The conditions but for addresses: `UDP from port 123`.
    var words: String {
        let name = conditions.first { $0.feature == .protocol }.map(\.words) ?? "IP"
        let others = conditions.filter { $0.feature != .protocol }.map(\.words)
        return ([name] + others).joined(separator: " ")
    }
}

/// That a field of a packet has one of some numbers.
struct Condition: Hashable {
    let feature: Feature
    let numbers: NumberSet
    /// Instead of the numbers, for TCP flags.
    let flags: FlagsMatch?

    /// More ranges than these a live rule has no room for (`DOS_RANGES`).
    static let ranges = 4

    /// - Parameter values: In order, at least one. Further values between them may match too.
    /// - Returns: Nil if that would be no condition at all.
    init?(_ feature: Feature, values: [UInt32]) {
        self.feature = feature
        guard feature == .tcpFlags else {
            numbers = Self.join(values)
            flags = nil
            return
        }
        let bytes = values.map { UInt8($0) }
        let match = FlagsMatch(
            set: TCPFlags(rawValue: bytes.reduce(0xff, &)), unset: TCPFlags(rawValue: ~bytes.reduce(0, |)))
        guard !match.set.isEmpty || !match.unset.isEmpty else { return nil }
        numbers = NumberSet(0, 255)
        flags = match
    }

    /// Ranges around the values, apart where they are furthest from each other.
    private static func join(_ values: [UInt32]) -> NumberSet {
        var gaps: [(last: UInt32, first: UInt32)] = []
        for (last, first) in zip(values, values.dropFirst()) where first > last + 1 { gaps.append((last, first)) }
        gaps.sort { $0.first - $0.last > $1.first - $1.last }
        let apart = gaps.prefix(ranges - 1).sorted { $0.last < $1.last }
        let firsts = [values[0]] + apart.map(\.first)
        let lasts = apart.map(\.last) + [values[values.count - 1]]
        return NumberSet(zip(firsts, lasts).map { NumberRange($0, $1) })
    }

    func matches(_ observation: Observation) -> Bool {
        guard let value = observation.value(feature) else { return false }
        return flags?.matches(TCPFlags(rawValue: UInt8(value))) ?? numbers.contains(value)
    }

    /// How many numbers there are.
    private var span: UInt32 { numbers.ranges.reduce(0) { $0 + ($1.last - $1.first + 1) } }

    /// Whether it asks for little enough to say something of the packets by itself.
    var isNarrow: Bool {
        switch feature {
        case .tcpFlags: true
        case .protocol, .fragment, .icmpType: span <= 4
        case .ttl: span <= 32
        case .sourcePort, .destinationPort, .length: span <= 256
        }
    }

    /// See ``Pattern/isOdd``.
    var isOdd: Bool {
        switch feature {
        case .protocol, .destinationPort, .ttl: false
        case .fragment, .icmpType: true
        case .sourcePort: span <= 16
        case .length: span <= 32
        case .tcpFlags: flags.map { $0.set.union($0.unset).rawValue == 0xff } ?? false
        }
    }

    func add(to rule: inout Rule) {
        switch feature {
        case .protocol: rule.protocol = numbers.first.map { IPProtocol(UInt8($0)) }
        case .fragment: rule.fragment = .later
        case .sourcePort: rule.sourcePort = numbers
        case .destinationPort: rule.destinationPort = numbers
        case .icmpType: rule.icmpType = numbers
        case .tcpFlags: rule.tcpFlags = flags
        case .length: rule.length = numbers
        case .ttl: rule.ttl = numbers
        }
    }

    var words: String {
        switch feature {
        case .protocol: numbers.first.map { IPProtocol(UInt8($0)).description.uppercased() } ?? ""
        case .fragment: "later fragments"
        case .sourcePort: "from port \(numbers)"
        case .destinationPort: "to port \(numbers)"
        case .icmpType: "of type \(numbers)"
        case .tcpFlags: "with flags \(flags?.description ?? "")"
        case .length: "of length \(numbers)"
        case .ttl: "with TTL \(numbers)"
        }
    }
}
