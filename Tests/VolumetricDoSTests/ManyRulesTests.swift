// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing
import VolumetricDoS

@Suite("Many rules", .enabled(if: getuid() == 0, mayLoadPrograms))
struct ManyRulesTests {
    /// Prefixes anywhere, of any length, some within others; and packets from where they begin and end.
    @Test(arguments: [1, 2, 9, 10, 81, 82, 700])
    func prefixesOfAnyLength(count: Int) throws {
        var random = SeededGenerator(seed: UInt64(count))
        var prefixes: [IPPrefix] = []
        for _ in 0..<count {
            let within = random.chance(0.5) ? prefixes.randomElement(using: &random) : nil
            prefixes.append(random.anyPrefix(in: within))
        }
        let rules = prefixes.enumerated().map { index, prefix in
            index.isMultiple(of: 3) ? Rule(destination: prefix) : Rule(source: prefix)
        }
        let configuration = Configuration(rules: rules)
        let stage = try StageUnderTest.version1_0(configuration)
        for _ in 0..<300 {
            let prefix = random.pick(prefixes)
            let (source, destination) = (random.address(near: prefix), random.address(near: prefix))
            let frame = Packet.bytes(
                .ethernet(),
                prefix.isIPv4 ? .ipv4(from: source, to: destination) : .ipv6(from: source, to: destination),
                .udp(from: 1, to: 2))
            let facts = PacketFacts(source: source, destination: destination, protocol: 17, length: 0)
            let expected = configuration.decidingRule(facts)
            #expect(try stage.run(frame).verdict == (expected == nil ? .next : .drop), "\(source) to \(destination)")
            if let expected { #expect(try stage.counter("rules", "rules[\(expected)]") ?? 0 > 0) }
        }
    }

    @Test func theLongestConfigurationWorks() throws {
        let count = Configuration.maximumRules
        let rules = (0..<count).map { Rule(destinationPort: NumberSet(UInt32($0), UInt32($0))) }
        let stage = try StageUnderTest.version1_0(Configuration(rules: rules))
        for port in [0, 1, 63, 64, 511, 512, 4095, 4096, count - 1] {
            #expect(try stage.run(datagram(to: UInt16(port))).verdict == .drop)
            #expect(try stage.counter("rules", "rules[\(port)]") == 1)
        }
        #expect(try stage.run(datagram(to: UInt16(count))).verdict == .next)
    }

    /// The first of the rules that match decides, wherever their bits are.
    @Test func theFirstRuleThatMatchesDecides() throws {
        let anything = try IPPrefix("0.0.0.0/0")
        var rules = (0..<200).map { index in
            index.isMultiple(of: 2) ? Rule(source: anything) : Rule(protocol: .udp, action: .pass)
        }
        for index in [0, 1, 2] {
            let stage = try StageUnderTest.version1_0(Configuration(rules: rules))
            #expect(try stage.run(datagram(to: 7)).verdict == (index == 1 ? .next : .drop))
            #expect(try stage.counter("rules", "rules[\(index)]") == 1)
            #expect(try stage.counter("reasons", index == 1 ? "rule-passed" : "rule") == 1)
            rules[index].protocol = IPProtocol(47)
        }
    }

    /// Two sets that both let all of these packets pass: when tables of the one get among those of the other, they do not.
    /// So whoever replaces one by the other while such packets flow notices if any is judged by half of each.
    @Test(arguments: ["classes", "blocks"])
    func halfOfAnotherSetIsNoticed(map: String) throws {
        let count = 1000
        func rules(_ isFirst: Bool) throws -> [Rule] {
            try (0..<count).map { number in
                let place = isFirst ? number : count - 1 - number
                let source = try IPPrefix("10.64.\(place / 256).\(place % 256)/32")
                return isFirst
                    ? Rule(source: source, destinationPort: NumberSet(2, 2), action: .pass)
                    : Rule(source: source, sourcePort: NumberSet(1, 1), action: .pass)
            } + [Rule(protocol: .udp)]
        }
        let one = try Configuration(rules: rules(true)).plan()
        let other = try Configuration(rules: rules(false)).plan()
        func passes(_ plan: StagePlan) throws -> Int {
            let stage = try StageUnderTest(plan, objects: StageUnderTest.objects(of: "volumetric-dos-1_0"))
            var passed = 0
            for number in 0..<count {
                let source = IPAddress("10.64.\(number / 256).\(number % 256)")!
                let frame = Packet.bytes(.ethernet(), .ipv4(from: source, to: "10.9.0.1"), .udp(from: 1, to: 2))
                if try stage.run(frame).verdict == .next { passed += 1 }
            }
            return passed
        }
        #expect(try passes(one) == count && passes(other) == count)
        var mixed = one
        mixed.maps[map] = other.maps[map]
        #expect(try passes(mixed) < count / 2)
    }

    @Test func rangesMayOverlapAtRandom() throws {
        var random = SeededGenerator(seed: 1)
        var rules: [Rule] = []
        for _ in 0..<3000 {
            let ends: [UInt32] = [random.number(0...65535), random.number(0...65535)].sorted()
            rules.append(Rule(destinationPort: NumberSet(ends[0], min(ends[1], ends[0] + 200))))
        }
        let configuration = Configuration(rules: rules)
        let stage = try StageUnderTest.version1_0(configuration)
        for _ in 0..<200 {
            let port: UInt16 = random.number(0...65535)
            let expected = rules.firstIndex { $0.destinationPort?.contains(UInt32(port)) ?? false }
            #expect(try stage.run(datagram(to: port)).verdict == (expected == nil ? .next : .drop), "\(port)")
            if let expected { #expect(try stage.counter("rules", "rules[\(expected)]") ?? 0 > 0) }
        }
    }
}

private func datagram(to port: UInt16) -> [UInt8] {
    Packet.bytes(.ethernet(), .ipv4(from: "10.0.0.1", to: "10.0.0.2"), .udp(from: 1, to: port), .payload(18))
}

extension SeededGenerator {
    fileprivate mutating func anyPrefix(in outer: IPPrefix?) -> IPPrefix {
        let isIPv4 = outer?.isIPv4 ?? chance(0.5)
        let bits = isIPv4 ? 32 : 128
        let least = outer?.length ?? 0
        let length = number(least...bits)
        return IPPrefix(outer.map { anyAddress(in: $0) } ?? anyAddress(bytes: bits / 8), length: length)
    }

    private mutating func anyAddress(bytes count: Int) -> IPAddress {
        IPAddress(bytes: (0..<count).map { _ in number(0...255) })
    }

    private mutating func anyAddress(in prefix: IPPrefix) -> IPAddress {
        let other = anyAddress(bytes: prefix.address.bytes.count)
        let mask = prefix.mask
        return IPAddress(
            bytes: other.bytes.indices.map { prefix.address.bytes[$0] | other.bytes[$0] & ~mask[$0] })
    }

    /// In it, its first or last one, or the one before or behind it.
    fileprivate mutating func address(near prefix: IPPrefix) -> IPAddress {
        let first = prefix.address.bytes
        let last = zip(first, prefix.mask).map { $0 | ~$1 }
        switch number(0...5) {
        case 0: return IPAddress(bytes: first)
        case 1: return IPAddress(bytes: last)
        case 2: return IPAddress(bytes: first.stepping(-1))
        case 3: return IPAddress(bytes: last.stepping(1))
        case 4: return anyAddress(bytes: first.count)
        default: return anyAddress(in: prefix)
        }
    }
}

extension [UInt8] {
    /// The number before or behind, around the end.
    fileprivate func stepping(_ step: Int) -> [UInt8] {
        var bytes = self
        for index in indices.reversed() {
            bytes[index] = UInt8(truncatingIfNeeded: Int(bytes[index]) + step)
            if bytes[index] != (step > 0 ? 0 : 255) { break }
        }
        return bytes
    }
}
