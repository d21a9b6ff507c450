// SPDX-License-Identifier: Apache-2.0

import PacketSamples
import StageKit
import StageTesting
import Testing

@testable import VolumetricDoS

@Suite("Patterns")
struct PatternTests {
    /// A pattern and the rule that is made of it hold the same packets.
    @Test func matchesWhatItsRuleMatches() throws {
        var matched = 0
        for seed in 0..<300 {
            var random = SeededGenerator(seed: UInt64(seed))
            let frames = (0..<40).compactMap { _ in PacketSample(.sample(random.frame(), seen: 1)) }
                .filter { $0.facts != nil }
            guard let model = frames.first.map({ Observation($0, packets: 1) }) else { continue }
            var pattern = Pattern(
                destination: PrefixBits(model.destinationAddress, length: random.pick([0, 8, 24])), source: nil,
                conditions: [])
            if random.chance(0.3) { pattern.source = PrefixBits(model.sourceAddress, length: random.pick([1, 8, 20])) }
            for feature in Feature.allCases where random.chance(0.3) {
                // Of fragments only the later ones are asked for.
                guard let value = model.value(feature), feature != .fragment || value == 2 else { continue }
                let values =
                    feature == .protocol || random.chance(0.5) ? [value] : [value, min(255, value + 3)].sorted()
                if let condition = Condition(feature, values: values) { pattern.conditions.append(condition) }
            }
            for sample in frames {
                let expected = pattern.rule.matches(sample.facts!)
                #expect(pattern.matches(Observation(sample, packets: 1)) == expected, "seed \(seed), \(pattern.rule)")
                matched += expected ? 1 : 0
            }
            let name = pattern.name
            #expect(name.hasPrefix("auto-") && name.utf8.count == 15)
        }
        #expect(matched > 500)
    }

    @Test func joinsValuesIntoFourRanges() throws {
        let condition = try #require(Condition(.length, values: [10, 11, 50, 400, 404, 900, 1400, 1401]))
        #expect(condition.numbers.description == "10-50,400-404,900,1400-1401")
        #expect(Condition(.tcpFlags, values: [0, 0xff]) == nil)
        #expect(Condition(.tcpFlags, values: [0x02])?.words == "with flags !fin,syn,!rst,!psh,!ack,!urg,!ece,!cwr")
    }

    private func observations(_ sources: [IPAddress]) -> [Observation] {
        sources.map { source in
            let frame = Packet.bytes(.ethernet(), .ipv4(from: source, to: "192.0.2.1"), .udp(from: 1, to: 2))
            return Observation(PacketSample(.sample(frame, seen: 1))!, packets: 1)
        }
    }

    private func cover(_ attackers: [IPAddress], _ bystanders: [IPAddress]) -> [String] {
        let evidence = Evidence(
            attack: Traffic(samples: observations(attackers), seconds: 1), usual: Traffic(samples: [], seconds: 1),
            others: observations(bystanders))
        return SourceCover(evidence, tolerated: 0.001).prefixes().map(\.prefix.text)
    }

    @Test func coversSourcesWithoutBystanders() {
        let near = (0..<200).map { IPAddress(bytes: [10, 1, 2, UInt8($0)]) }
        #expect(cover(near, ["203.0.113.1"]) == ["10.1.2.0/24"])
        // A bystander in the midst of them is left out.
        let around = cover(near, ["10.1.2.130"])
        #expect(around.first == "10.1.2.0/25")
        #expect(around.dropFirst().allSatisfy { $0.hasPrefix("10.1.2.1") })
        #expect(!(try! IPPrefix(around[1]).contains("10.1.2.130")))
        #expect(cover([IPAddress](repeating: "10.1.2.3", count: 50), ["10.1.2.4"]) == ["10.1.2.3"])
        // The same address: nothing tells them apart.
        #expect(cover([IPAddress](repeating: "10.1.2.3", count: 50), ["10.1.2.3"]).isEmpty)
    }

    @Test func writesRates() {
        #expect(
            [0, 7, 999, 1203, 1_203_456, 99_960].map { grouped($0) } == [
                "0", "7", "999", "1,200", "1,200,000", "100,000",
            ])
        #expect(percent(1, of: 3) == "33.3%")
        #expect(percent(1, of: 0) == "0.0%")
    }
}
