// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing
import UDPRateLimit

/// A bucket of the reference: when the next packet is due, of which is known only that it is between two moments, as
/// the moment at which the kernel looked at its clock is.
private struct Bucket {
    var low: Int64 = 0
    var high: Int64 = 0

    /// Whether it is off by more; nil if nobody can tell.
    func isOff(by most: Int64, _ now: ClosedRange<Int64>) -> Bool? {
        if low - now.upperBound > most { return true }
        if high - now.lowerBound <= most { return false }
        return nil
    }

    mutating func take(_ interval: Int64, _ now: ClosedRange<Int64>) {
        low = max(low, now.lowerBound) + interval
        high = max(high, now.upperBound) + interval
    }
}

private struct Packet6 {
    var source: IPAddress
    var destination: IPAddress
    var port: UInt16?
    var isUDP: Bool
    var frame: [UInt8]
}

/// What the stage ought to do, as plainly as it can be said.
private struct Reference {
    let configuration: Configuration
    var buckets: [String: Bucket] = [:]
    /// Buckets of which nobody can tell any more.
    var unknown: Set<String> = []

    enum Outcome: String { case admitted, source, address, prefix, other }

    private func interval(_ rate: Rate) -> Int64 { 1_000_000_000 / Int64(rate.packetsPerSecond) }
    private func tolerance(_ rate: Rate) -> Int64 { Int64(rate.burst - 1) * interval(rate) }

    /// Nil if it depends on nanoseconds.
    mutating func judge(_ packet: Packet6, _ now: ClosedRange<Int64>) -> Outcome? {
        guard packet.isUDP else { return .other }
        if let ports = configuration.ports, let port = packet.port, !ports.ranges.contains(where: { $0 ~= port }) {
            return .other
        }
        let all = configuration.policies.flatMap { policy in policy.destinations.map { (policy, $0) } }
        guard
            let (policy, prefix) = all.filter({ $0.1.contains(packet.destination) }).max(by: {
                $0.1.length < $1.1.length
            })
        else { return .other }
        let address = "\(policy.name) \(packet.destination)"
        var asked: [(key: String, rate: Rate, outcome: Outcome)] = []
        if let perSource = policy.perSource {
            var isCrowded: Bool? = true
            if let rate = policy.perAddress, perSource.from > 0 {
                let least = tolerance(rate) / 256 * Int64(perSource.from * 256 / 100)
                isCrowded = unknown.contains(address) ? nil : buckets[address, default: Bucket()].isOff(by: least, now)
            }
            let length = packet.source.isIPv4 ? perSource.v4 : perSource.v6
            let key = "\(address) from \(IPPrefix(packet.source, length: length))"
            switch isCrowded {
            case true?: asked.append((key, perSource.rate, .source))
            case false?: break
            case nil:
                unknown.formUnion([key, address, "\(policy.name) \(prefix)/"])
                return nil
            }
        }
        if let rate = policy.perAddress { asked.append((address, rate, .address)) }
        if let rate = policy.perPrefix { asked.append(("\(policy.name) \(prefix)/", rate, .prefix)) }
        for (index, (key, rate, outcome)) in asked.enumerated() {
            switch unknown.contains(key) ? nil : buckets[key, default: Bucket()].isOff(by: tolerance(rate), now) {
            case true?: return outcome
            case false?: buckets[key, default: Bucket()].take(interval(rate), now)
            case nil:
                unknown.formUnion(asked[index...].map(\.key))
                return nil
            }
        }
        return .admitted
    }
}

@Suite("Against a reference", .enabled(if: getuid() == 0, mayLoadPrograms))
struct AgainstReferenceTests {
    private func monotonic() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }

    private func configuration(_ random: inout SeededGenerator) throws -> Configuration {
        func rate(_ chance: Double) -> Rate? {
            guard random.chance(chance) else { return nil }
            // Divisors of a second, so that nothing is rounded.
            let rate: UInt64 = random.pick([1, 2, 5, 10, 20, 50])
            return Rate(packetsPerSecond: rate, burst: random.number(1...min(60, rate * 20)))
        }
        let destinations = try [
            prefixes("10.0.0.0/28", "2001:db8::/124"), prefixes("10.0.0.4/30", "10.0.0.9", "2001:db8::3"),
            prefixes("10.0.0.128/25"), prefixes("10.0.0.0/8", "2001:db8::/32"),
        ]
        let policies = destinations.enumerated().map { index, destinations in
            var policy = Policy(name: "p\(index)", destinations: destinations)
            policy.buckets = index == 3 || random.chance(0.3) ? .shared : .own
            policy.perAddress = rate(0.8)
            policy.perPrefix = rate(0.3)
            policy.perSource = rate(0.5).map {
                SourceRate(
                    $0, v4: random.pick([8, 24, 32]), v6: random.pick([32, 48, 64]), from: random.pick([0, 33, 75]))
            }
            if policy.perPrefix == nil, policy.perSource == nil { policy.perAddress = policy.perAddress ?? slow(20) }
            return policy
        }
        return Configuration(
            ports: random.chance(0.5) ? PortSet([53...53, 1000...1010]) : nil, policies: policies, buckets: 16384)
    }

    private func packet(_ random: inout SeededGenerator) -> Packet6 {
        let isIPv4 = random.chance(0.5)
        let source: IPAddress =
            isIPv4
            ? IPAddress(bytes: [192, 0, random.pick([1, 2]), random.pick([1, 2])])
            : IPAddress("2001:db8:\(random.pick([1, 2])):\(random.pick([1, 2]))::1")!
        let destination: IPAddress =
            isIPv4
            ? IPAddress(bytes: [random.pick([10, 10, 10, 11]), 0, 0, random.pick([0, 4, 5, 9, 15, 16, 129])])
            : IPAddress(
                bytes: [0x20, 0x01, 0x0d, random.pick([0xb8, 0xb8, 0xb9])] + [UInt8](repeating: 0, count: 11)
                    + [random.pick([0, 3, 15, 16])])
        var layers: [PacketLayer] = [
            .ethernet(), isIPv4 ? .ipv4(from: source, to: destination) : .ipv6(from: source, to: destination),
        ]
        if !isIPv4, random.chance(0.3) { layers.append(.extensionHeader(random.pick([0, 43, 60]), bytes: 16)) }
        if !isIPv4, random.chance(0.1) { layers.append(.fragmentHeader(offset: 0, more: false)) }
        let isUDP = random.chance(0.95)
        let port: UInt16 = random.pick([53, 53, 53, 1005, 99])
        layers.append(isUDP ? .udp(from: 4000, to: port) : .tcp(from: 4000, to: port))
        layers.append(.payload(random.number(0...64)))
        return Packet6(
            source: source, destination: destination, port: port, isUDP: isUDP, frame: Packet.bytes(layers))
    }

    @Test(arguments: hooks, 1...8 as ClosedRange<UInt64>) func itDoesTheSame(hook: HookKind, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let configuration = try configuration(&random)
        let stage = try StageUnderTest.udp(configuration, at: hook)
        var reference = Reference(configuration: configuration)
        var (told, counted): (Int, [Reference.Outcome: UInt64]) = (0, [:])
        for _ in 0..<1500 {
            let packet = packet(&random)
            let before = monotonic()
            let verdict = try stage.run(packet.frame).verdict
            guard let expected = reference.judge(packet, before...monotonic()) else { continue }
            told += 1
            counted[expected, default: 0] += 1
            let goesOn = expected == .admitted || expected == .other
            #expect(verdict == (goesOn ? .next : .drop), "\(expected) \(packet.destination) \(packet.source)")
            if (verdict == .next) != goesOn { return }
        }
        #expect(told > 1000, "\(told) of 1500 could be told")
        #expect(counted[.admitted, default: 0] > 0)
        guard told == 1500 else { return }
        let sums = try configuration.policies.map { try stage.counts(of: $0.name) }
            .reduce([0, 0, 0, 0, 0]) { zip($0, $1).map(+) }
        #expect(sums == [.admitted, .source, .address, .prefix].map { counted[$0, default: 0] } + [0])
    }
}
