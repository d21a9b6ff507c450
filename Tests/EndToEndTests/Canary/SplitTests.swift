// SPDX-License-Identifier: Apache-2.0

import BPF
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// Which flows a canary gets: as many as were asked for, always the same ones, and both directions of each.
    @Suite struct SplitTests {
        @Test func aFlowIsOnOneSideAndTheShareIsWhatWasAskedFor() async throws {
            try await Lab.run { lab in
                let canary = try CanarySite(lab)
                let begun = try canary.begin(.drop, share: "5%,50%", abortIf: CanarySite.never)
                #expect(begun.succeeded, "\(begun.errors)")
                let root = try BPFProgram.pinned(at: canary.directory.root)
                func isTried(_ packet: [UInt8]) throws -> Bool {
                    try root.testRun(packet: packet).returnValue == Verdict.drop.number
                }
                for (name, flows, count) in [
                    ("IPv4", Flows.ipv4, 50_000), ("IPv6", .ipv6, 50_000), ("VLAN", .tagged, 1000),
                ] {
                    var tried: [Int] = []
                    for n in 0..<count {
                        let (there, back) = flows.pair(n)
                        let side = try isTried(there)
                        if side { tried.append(n) }
                        guard try isTried(back) == side else {
                            Issue.record("\(name) flow \(n): its two directions are on two sides")
                            break
                        }
                    }
                    let share = Double(tried.count) * 100 / Double(count)
                    #expect(abs(share - 5) < (count > 10_000 ? 0.5 : 3), "\(name): \(share)% of the flows")
                    // A greater share has all of the flows that the smaller one had.
                    try canary.directory.canary.enter(step: 1)
                    #expect(try tried.allSatisfy { try isTried(flows.pair($0).there) }, "\(name)")
                    let more = try (0..<2000).filter { try isTried(flows.pair($0).there) }.count
                    #expect((800...1200).contains(more), "\(name): \(more) of 2000 at 50%")
                    try canary.directory.canary.enter(step: 0)
                }
            }
        }

        @Test func whatIsNoFlowStaysWithTheLiveGeneration() async throws {
            try await Lab.run { lab in
                let canary = try CanarySite(lab)
                try #require(try canary.begin(.drop, share: "99.99%", abortIf: CanarySite.never).succeeded)
                let (from, to): (IPAddress, IPAddress) = ("10.0.0.1", "10.9.0.1")
                let (from6, to6): (IPAddress, IPAddress) = ("2001:db8::1", "fd00:9::1")
                let noFlows: [(String, [UInt8])] = [
                    ("ARP", Packet.bytes(.ethernet(), .arp(sender: from, target: to))),
                    (
                        "a first fragment",
                        Packet.bytes(
                            .ethernet(), .ipv4(from: from, to: to, moreFragments: true), .udp(from: 1, to: 2),
                            .payload(32))
                    ),
                    (
                        "a later fragment",
                        Packet.bytes(
                            .ethernet(), .ipv4(from: from, to: to, next: 17, fragmentOffset: 64), .payload(32))
                    ),
                    (
                        "an IPv6 fragment",
                        Packet.bytes(
                            .ethernet(), .ipv6(from: from6, to: to6), .fragmentHeader(offset: 0, more: true),
                            .udp(from: 1, to: 2), .payload(32))
                    ),
                    (
                        "a cut-off header",
                        Array(
                            Packet.bytes(.ethernet(), .ipv4(from: from, to: to), .udp(from: 1, to: 2), .payload(9))
                                .prefix(36))
                    ),
                ]
                for (name, packet) in noFlows { #expect(try canary.verdict(packet) == .pass, "\(name)") }
                let flows: [(String, [UInt8])] = [
                    ("UDP", Packet.bytes(.ethernet(), .ipv4(from: from, to: to), .udp(from: 1, to: 2))),
                    ("ICMP", Packet.bytes(.ethernet(), .ipv4(from: from, to: to), .icmp(), .payload(32))),
                    (
                        "TCP behind an extension header",
                        Packet.bytes(
                            .ethernet(), .ipv6(from: from6, to: to6), .extensionHeader(60), .tcp(from: 1, to: 2))
                    ),
                    (
                        "two VLAN tags",
                        Packet.bytes(
                            .ethernet(), .vlan(3, tag: 0x88a8), .vlan(4), .ipv4(from: from, to: to),
                            .udp(from: 1, to: 2))
                    ),
                ]
                for (name, packet) in flows { #expect(try canary.verdict(packet) == .drop, "\(name)") }
            }
        }

        /// As many stages as a chain may have, and a splitter before them: the kernel's last tail call is the last
        /// stage's.
        @Test func aChainOfThirtyTwoStagesHasRoomForACanary() async throws {
            try await Lab.run { lab in
                let canary = try CanarySite(lab)
                try canary.site.apply(CanarySite.spec(.pass, stages: 32))
                let begun = try canary.site.ctl(
                    "apply", "-f", "-", "--canary", "50%", "--no-wait", "--abort-if", CanarySite.never,
                    input: CanarySite.spec(.drop, generation: 2, stages: 32))
                #expect(begun.succeeded, "\(begun.errors)")
                let verdicts = try (0..<1000).map { try canary.verdict(Flows.ipv4.pair($0).there) }
                #expect(Set(verdicts) == [.drop, .pass])
                for number in [2, 3] {
                    let counters = try canary.directory.generation(number).counters(32)
                    #expect(counters.packets > 300, "generation \(number): \(counters)")
                    #expect(try canary.directory.fallenThrough(number) == 0)
                }
            }
        }
    }
}
