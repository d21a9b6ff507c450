// SPDX-License-Identifier: Apache-2.0

import StageKit
import StageTesting
import Testing

@testable import CgroupPolicy

/// The program, by test run, against the rules as the documentation has them: one after the other.
@Suite(.enabled(if: Lab.isAvailable, "needs root")) struct AgainstReferenceTests {
    private static let v4 = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "192.0.2.0/25"]
    private static let v6 = ["::/0", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::7/128", "fd00::/8"]
    private static let addresses: [IPAddress] = [
        "10.1.2.3", "10.1.2.4", "10.1.9.9", "10.9.9.9", "192.0.2.1", "192.0.2.200", "8.8.8.8", "2001:db8:1::7",
        "2001:db8:1::8", "2001:db8:2::1", "fd00::1", "2600::1",
    ]
    private static let ports: [UInt16] = [0, 53, 79, 80, 443, 8000, 8500, 65535]

    private static func rules(_ random: inout SeededGenerator) -> Rules {
        func ports() -> PortSet? {
            switch Int.random(in: 0..<5, using: &random) {
            case 0: PortSet(80...80)
            case 1: PortSet(53...79, 443...443)
            case 2: PortSet(8000...65535)
            default: nil
            }
        }
        let rules = (0..<Int.random(in: 0...12, using: &random)).map { number in
            let prefixes = (v4 + v6).filter { _ in Int.random(in: 0..<5, using: &random) == 0 }
            return Rule(
                "r\(number)", prefixes: prefixes.map { try! IPPrefix($0) }, ports: ports(), localPorts: ports(),
                transport: Rule.Transport.allCases.randomElement(using: &random)!,
                action: Bool.random(using: &random) ? .deny : .allow)
        }
        return Rules(otherwise: Bool.random(using: &random) ? .deny : .allow, rules: rules)
    }

    @Test(arguments: [HookKind.cgroupSkbIngress, .cgroupSkbEgress])
    func packetsFareAsTheRulesSay(kind: HookKind) throws {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<40 {
            let rules = Self.rules(&random)
            let configuration = Configuration(mode: .enforce, ingress: rules, egress: rules, reportsPerSecond: 0)
            let plan = try configuration.plan(in: context(kind))
            let stage = try StageUnderTest(plan, at: kind, objects: objects)
            #expect(try stage.failingSamples().isEmpty)
            var hits = [UInt64](repeating: 0, count: rules.rules.count + 1)
            let before = try rules.labels.map { try stage.counter("rules", $0) ?? 0 }
            for _ in 0..<60 {
                let facts = PacketFacts(
                    address: Self.addresses.randomElement(using: &random)!,
                    port: Self.ports.randomElement(using: &random)!,
                    localPort: Self.ports.randomElement(using: &random)!,
                    protocol: Bool.random(using: &random) ? 6 : 17)
                let (action, rule) = rules.decision(facts)
                hits[rule] += 1
                let outcome = try stage.run(facts.frame(Part(kind)!).raw)
                #expect(outcome.verdict == (action == .deny ? .drop : .next), "\(facts) \(rules)")
            }
            let after = try rules.labels.map { try stage.counter("rules", $0) ?? 0 }
            #expect(zip(after, before).map { $0 - $1 } == hits)
        }
    }

    @Test func portsAreFoundBehindExtensionHeadersAndNotInLaterFragments() throws {
        let rules = Rules(
            otherwise: .allow, rules: [Rule("web", ports: PortSet(80...80), transport: .tcp, action: .deny)])
        let configuration = Configuration(mode: .enforce, egress: rules)
        let stage = try StageUnderTest(
            configuration.plan(in: context(.cgroupSkbEgress)), at: .cgroupSkbEgress, objects: objects)
        func verdict(_ layers: PacketLayer...) throws -> Verdict? { try stage.run(Packet.bytes(layers)).verdict }
        let v6 = PacketLayer.ipv6(from: "2001:db8::1", to: "2001:db8::2")
        let web = PacketLayer.tcp(from: 4000, to: 80)
        #expect(try verdict(.ethernet(), v6, web) == .drop)
        #expect(try verdict(.ethernet(), v6, .tcp(from: 80, to: 4000)) == .next)
        #expect(
            try verdict(.ethernet(), v6, .extensionHeader(0), .extensionHeader(60, bytes: 24), web) == .drop)
        #expect(try verdict(.ethernet(), v6, .authenticationHeader(), web) == .drop)
        #expect(try verdict(.ethernet(), v6, .fragmentHeader(offset: 0, more: true), web) == .drop)
        #expect(try verdict(.ethernet(), v6, .fragmentHeader(offset: 64, more: false), web) == .next)
        #expect(try verdict(.ethernet(), v6, .udp(from: 4000, to: 80)) == .next)
    }

    @Test func inAuditAllGoesOnAndIsCountedAndReported() throws {
        let rules = Rules(otherwise: .deny)
        let configuration = Configuration(mode: .audit, ingress: rules)
        let stage = try StageUnderTest(
            configuration.plan(in: context(.cgroupSkbIngress)), at: .cgroupSkbIngress, objects: objects)
        let packet = PacketFacts(address: "192.0.2.7", port: 443, localPort: 4711, protocol: 17).frame(.ingress).raw
        for _ in 0..<30 { #expect(try stage.run(packet).verdict == .next) }
        #expect(try stage.counter("rules", "default") == 30)
        // Of the IP packet: headers of IPv4 and UDP, and the payload.
        #expect(try stage.counter("rules", "default", "bytes") == 30 * (20 + 8 + 32))
        let records = try stage.records(of: "denials")
        // A second's worth at once; the rest is told with the next one.
        #expect((10...11).contains(records.count), "\(records.count)")
        let denial = try #require(Denial(Bytes(records[0]), .ingress))
        #expect(denial.subject.destination == "192.0.2.7:443" && denial.subject.localPort == 4711)
        #expect(denial.subject.transport == "udp" && !denial.subject.isEnforced && denial.withheld == 0)
    }

    /// What has no test run is loaded at least: the verifier of this kernel takes it.
    @Test(arguments: Part.hooks)
    func programsLoadWithAllPartsAndWithNone(kind: HookKind) throws {
        let rules = Rules(
            otherwise: .deny,
            rules: [
                Rule("a", prefixes: [try IPPrefix("10.0.0.0/8")], ports: PortSet(1...2, 5...6), action: .allow),
                Rule("b", prefixes: [try IPPrefix("2001:db8::/32")], transport: .udp, action: .deny),
            ])
        var options = ConnectionOptions()
        options.initialWindow = 20
        options.receiveWindow = 40
        options.congestion = "reno"
        options.keepalive = Keepalive(idle: 60)
        options.userTimeout = 1000
        options.tos = 8
        options.priority = 1
        options.mark = 1
        options.unsentLowAt = 1000
        options.maximumPacingRate = 1_000_000
        options.noDelay = true
        let whole = Configuration(
            mode: .enforce, connect: rules, bind: rules,
            rewrite: [
                Rewrite(from: try Endpoint("192.0.2.1:80"), to: try Endpoint("127.0.0.1:80")),
                Rewrite(from: try Endpoint("[2001:db8::1]:80"), to: try Endpoint("[::1]:80")),
            ], ingress: rules, egress: rules, sockops: options,
            sockCreate: SocketPart(deny: SocketClass.allCases, mark: 1, priority: 2))
        for configuration in [whole, Configuration(mode: .audit)] {
            _ = try StageUnderTest(configuration.plan(in: context(kind)), at: kind, objects: objects)
        }
    }
}
