// SPDX-License-Identifier: Apache-2.0

import Foundation
import StageKit
import StageTesting
import Testing

private let hooks: [HookKind] = [.socketFilter, .cgroupSkbIngress]

extension EndToEnd {
    /// Real sockets: what a test run shows of a socket filter's packets is not what a socket's filter sees.
    @Suite("UDP limits", .enabled(if: Lab.isAvailable)) struct UDPRateLimitTests {
        @Test(arguments: hooks) func datagramsOfAllSizesComeWhole(kind: HookKind) async throws {
            try await UDPSite.run(kind) { udp in
                try udp.site.apply(udp.spec(perAddress: "{packets-per-second: 100000}"))
                let sink = try udp.sink()
                let sizes = [0, 1, 31, 32, 512, 1400]
                let payload = sizes.flatMap { ["--payload", "\($0)"] }
                for first in [UDPSite.firstV4, UDPSite.firstV6] {
                    let process = try udp.lab.spawn(
                        [BuildProducts.path("testbed-traffic"), "datagrams", "--to"]
                            + [first.contains(":") ? "[\(first)]:\(UDPSite.port)" : "\(first):\(UDPSite.port)"]
                            + ["--rate", "2000", "--rounds", "600"] + payload, netns: "client")
                    #expect(try udp.sent(by: process).sent == 600)
                }
                // Extension headers, from strangers.
                let more = try udp.send(
                    to: UDPSite.firstV6, "--rate", "2000", "--rounds", "300", "--from", "fd00:9:7::", "--extensions",
                    "--payload", "100")
                #expect(try udp.sent(by: more).sent == 300)
                let tally = try udp.end(sink)
                #expect(
                    tally.lengths == ["0": 200, "1": 200, "31": 200, "32": 200, "512": 200, "1400": 200, "100": 300])
                #expect(tally.drops == 0)
                #expect(try udp.counts() == .init(admitted: 1500, source: 0, address: 0, prefix: 0))
            }
        }

        /// The first of 30,000 addresses gets twenty times what it may; and each of the others all that is sent to it.
        @Test(arguments: zip(hooks, [UDPSite.firstV4, UDPSite.firstV6]))
        func aFloodAtOneAddressCostsTheOthersNothing(kind: HookKind, first: String) async throws {
            try await UDPSite.run(kind) { udp in
                let rate = 500
                try udp.site.apply(udp.spec(perAddress: "{packets-per-second: \(rate), burst: 100}"))
                let sink = try udp.sink(watching: [0])
                let errors = try udp.inputErrors()
                let flood = try udp.send(
                    to: first, "--rate", "\(rate * 20)", "--seconds", "7", "--from",
                    first.contains(":") ? "fd00:9:7::" : "203.0.0.0")
                // Every other address, three times: the first is spared.
                let others = try udp.send(
                    to: first, number: 1, "--rate", "15000", "--rounds", "3", "--addresses", "29999")
                let (flooded, sent) = (try udp.sent(by: flood), try udp.sent(by: others))
                let tally = try udp.end(sink)
                let counts = try udp.counts()
                let (own, other) = (tally.watched["0"] ?? 0, 29_999)
                // Of the other family's addresses none got anything.
                #expect(tally.histogram == ["0": other, "3": other], "\(tally.histogram)")
                #expect(sent.sent == 3 * other)
                let admitted = 100.0 + Double(rate * flooded.ms) / 1000
                #expect(abs(Double(own) - admitted) < admitted * 0.02, "\(own) of \(admitted)")
                #expect(flooded.sent > 15 * own)
                // All that is sent is counted, everywhere alike.
                #expect(counts.admitted == tally.received)
                #expect(counts.dropped == flooded.sent - own)
                #expect(tally.drops == counts.dropped)
                #expect(try udp.inputErrors() - errors == counts.dropped)
                print(
                    "\(kind.rawValue) \(first): \(flooded.sent) sent to one address in \(flooded.ms) ms, \(own) admitted "
                        + "(\(admitted) allowed), \(tally.drops) dropped by the socket's count; \(sent.sent) to the others, "
                        + "\(tally.received - own) admitted")
                // And who it was is known.
                let top: [[String: JSON]] = try udp.site.decode(
                    udp.site.must("stats", udp.hook, "--stage", "limit", "--top", "destinations", "-o", "json"))
                #expect(top.count == 1)
                #expect(top[0]["destination"] == .string(first))
                #expect(top[0]["packets"] == .integer(Int64(counts.dropped)))
            }
        }

        /// One source among many takes no more than its part of what an address has.
        @Test(arguments: hooks) func aGreedySourceLeavesRoomForOthers(kind: HookKind) async throws {
            try await UDPSite.run(kind) { udp in
                try udp.site.apply(
                    udp.spec(
                        perAddress: "{packets-per-second: 1000, burst: 100}",
                        more: ", per-source: {packets-per-second: 300, burst: 10}"))
                let sink = try udp.sink(watching: [0])
                let flood = try udp.send(to: UDPSite.firstV4, "--rate", "10000", "--seconds", "4")
                Thread.sleep(forTimeInterval: 1)
                let other = try udp.send(
                    to: UDPSite.firstV4, "--rate", "200", "--seconds", "2", "--from", "203.0.113.0")
                let sent = try udp.sent(by: other)
                _ = try udp.sent(by: flood)
                let counts = try udp.counts()
                let sources: [[String: JSON]] = try udp.site.decode(
                    udp.site.must("stats", udp.hook, "--stage", "limit", "--top", "sources", "-o", "json"))
                _ = try udp.end(sink)
                #expect(sent.sent == 400)
                #expect(counts.address == 0)
                #expect(sources.count == 1)
                #expect(sources[0]["source"] == .string("10.9.0.0/24"))
                #expect(sources[0]["packets"] == .integer(Int64(counts.source)))
            }
        }

        /// Whoever reads the datagram sees the mark, where the hook can give it one.
        @Test(arguments: hooks) func whatIsOverCanBeMarked(kind: HookKind) async throws {
            try await UDPSite.run(kind) { udp in
                try udp.site.apply(
                    udp.spec(perAddress: "{packets-per-second: 1, burst: 50}", more: ", action: mark, mark: 77"))
                let sink = try udp.sink()
                _ = try udp.sent(by: udp.send(to: UDPSite.firstV4, "--rate", "1000", "--rounds", "500"))
                let tally = try udp.end(sink)
                let counts = try udp.counts()
                #expect(counts.admitted + counts.address == 500)
                #expect((50...53).contains(counts.admitted))
                #expect(
                    tally.marks
                        == (kind == .socketFilter ? ["0": 500] : ["0": counts.admitted, "77": counts.address]))
            }
        }

        /// Trains of datagrams to a socket that takes them in one piece.
        @Test(arguments: hooks) func ofATrainAllDatagramsCount(kind: HookKind) async throws {
            try await UDPSite.run(kind) { udp in
                try udp.site.apply(udp.spec(perAddress: "{packets-per-second: 100, burst: 100}"))
                let sink = try udp.sink(gro: true)
                let train = try udp.send(
                    to: UDPSite.firstV4, "--rate", "4000", "--seconds", "3", "--train", "20", "--payload", "100")
                let sent = try udp.sent(by: train)
                let tally = try udp.end(sink)
                #expect(sent.sent == 12_000)
                // What is left of a bucket lets one train through.
                let most = 100 + 100 * sent.ms / 1000 + 20
                #expect(tally.lengths.keys.sorted() == ["100"])
                #expect(tally.received <= most && tally.received >= most * 3 / 4, "\(tally.received) of \(most)")
            }
        }

        /// Rates are changed, generations and versions replaced in mid-flood: no socket is touched, no bucket forgotten.
        @Test(arguments: hooks) func changesInMidFloodKeepTheLimit(kind: HookKind) async throws {
            try await UDPSite.run(kind) { udp in
                let folder = "\(udp.site.plugins)/udp-ratelimit/1.1"
                // Another version; a plugin says of itself which it is.
                try udp.lab.check(["cp", "-r", "\(udp.site.plugins)/udp-ratelimit/1.0", folder])
                let script =
                    "#!/bin/sh\nexec \(udp.site.plugins)/udp-ratelimit/1.0/udp-ratelimit \"$@\" | sed 's/\"1\\.0\"/\"1.1\"/'\n"
                try script.write(toFile: "\(folder)/udp-ratelimit", atomically: false, encoding: .utf8)
                // The burst is what the flood uses up in no time; then it is the rate alone.
                try udp.site.apply(udp.spec(perAddress: "{packets-per-second: 500, burst: 1000}"))
                let sink = try udp.sink(watching: [0])
                let flood = try udp.send(to: UDPSite.firstV4, "--rate", "10000", "--seconds", "8")
                for round in 0..<4 {
                    Thread.sleep(forTimeInterval: 1)
                    let version = round % 2 == 0 ? "1.1" : "1.0"
                    try udp.site.apply(
                        udp.spec(perAddress: "{packets-per-second: 500, burst: 1000}")
                            .replacing(
                                "plugin: udp-ratelimit\n",
                                with: "plugin: udp-ratelimit\n        version: \"\(version)\"\n"))
                }
                let sent = try udp.sent(by: flood)
                let tally = try udp.end(sink)
                let admitted = 1000 + 500.0 * Double(sent.ms) / 1000
                #expect(abs(Double(tally.received) - admitted) < admitted * 0.02, "\(tally.received) of \(admitted)")
                #expect(tally.received + tally.drops == sent.sent)

                // A rate that is changed live, and is kept by the next generation.
                try udp.site.must(
                    "rule", "add", udp.hook, "limit", "policy: dns, per-address: {packets-per-second: 1, burst: 10}",
                    "--ttl", "10m")
                for spec in [nil, udp.spec(perAddress: "{packets-per-second: 400}")] {
                    if let spec { try udp.site.apply(spec) }
                    let sink = try udp.sink()
                    let number = spec == nil ? 7 : 8
                    _ = try udp.sent(
                        by: udp.send(to: UDPSite.firstV4, number: number, "--rate", "1000", "--rounds", "500"))
                    #expect((10...12).contains(try udp.end(sink).received))
                }
                try udp.site.must("rule", "remove", udp.hook, "limit", "dns")
                let last = try udp.sink()
                _ = try udp.sent(by: udp.send(to: UDPSite.firstV4, number: 9, "--rate", "1000", "--rounds", "300"))
                #expect(try udp.end(last).received == 300)
            }
        }

        /// Ten thousand prefixes go live; what cannot be is refused in words, and leaves nothing behind.
        @Test(arguments: hooks) func manyPrefixesGoLiveAndTooManyAreRefused(kind: HookKind) async throws {
            try await UDPSite.run(kind) { udp in
                func list(_ count: Int, _ prefix: (Int) -> String) -> String {
                    (0..<count).map { "\"\(prefix($0))\"" }.joined(separator: ", ")
                }
                let all = list(10_000) { "10.\(20 + ($0 >> 8)).\($0 & 255).0/26" }
                let spec = udp.spec(
                    "{policies: [{name: dns, destinations: [\(all)], per-address: {packets-per-second: 5, burst: 5}, "
                        + "per-prefix: {packets-per-second: 50}}]}")
                try udp.site.apply(spec)
                let before = try udp.site.snapshot()
                let refused = [
                    (
                        udp.spec(
                            "{policies: [{name: dns, destinations: [\"fd50::/64\"], per-address: {packets-per-second: 5}}]}"
                        ),
                        "policies[0].destinations[0]: fd50::/64 has 2^64 addresses"
                    ),
                    (
                        udp.spec(
                            "{policies: [{name: dns, destinations: [\(list(65_537) { "10.\($0 >> 16).\($0 >> 8 & 255).\($0 & 255)" })], per-address: {packets-per-second: 5}}]}"
                        ),
                        "policies: have 65537 destinations; at most 65536 are possible"
                    ),
                    (
                        udp.spec(
                            "{policies: [{name: dns, destinations: [\(all)], per-address: {packets-per-second: 0}}]}"),
                        "policies[0].per-address.packets-per-second: 0: expected 1 to 10000000"
                    ),
                ]
                for (spec, message) in refused {
                    let result = try udp.site.ctl(["apply", "-f", "-"], input: spec)
                    #expect(!result.succeeded)
                    #expect(result.errors.contains(message), "\(result.errors)")
                }
                #expect(try udp.site.snapshot() == before)
                // 10.50.0.1 is in one of them.
                let sink = try udp.sink()
                _ = try udp.sent(by: udp.send(to: UDPSite.firstV4, number: 1, "--rate", "1000", "--rounds", "100"))
                #expect((5...7).contains(try udp.end(sink).received))
            }
        }
    }
}
