// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// A canary at every hook where what comes belongs to a flow.
    @Suite struct HookCanaryTests {
        @Test(arguments: HookCase.withFlows)
        func aShareOfTheFlowsIsTriedAndPromotedOrNot(_ row: HookCase) async throws {
            try await HookSite.run(row) { hooks in
                let site = hooks.site
                try site.apply(hooks.walk(1, verdict: .pass))
                try Self.begin(2, .pass, at: hooks)
                // Each connection is a flow of its own; of datagrams so many sockets send some each.
                let tally = try hooks.call(1000, flows: 250)
                #expect(tally.isPerfect)
                let walks = try Self.walks(hooks, of: [1, 2])
                // Within five standard deviations of half of 250 flows.
                let share = Double(walks[1]) / Double(walks[0] + walks[1])
                print("\(row.testDescription): \(share) of the walks through the candidate")
                #expect(abs(share - 0.5) < 0.16, "\(walks)")
                #expect(try hooks.marks() == (1000, 0))
                if row.kind != .sockops {
                    #expect(walks.reduce(0, +) == 1000)
                    // A flow stays on its side.
                    #expect(try hooks.call(100).isPerfect)
                    let more = try zip(Self.walks(hooks, of: [1, 2]), walks).map { $0 - $1 }
                    #expect(more.sorted() == [0, 100], "\(more)")
                }
                let canary = try #require(try hooks.status().canary)
                #expect(canary.candidate == 2)

                try site.must("canary", "promote", hooks.hook)
                let before = try Self.walks(hooks, of: [2])
                #expect(try hooks.call(50).isPerfect)
                #expect(try Self.walks(hooks, of: [2])[0] >= before[0] + 50)
                #expect(try hooks.status().live == 2 && hooks.status().canary == nil)

                // One that drops is aborted; nothing of it is left.
                try Self.begin(3, .drop, at: hooks)
                let mixed = try hooks.call(250, flows: 250, wait: 20 * Lab.patience)
                #expect((50...200).contains(mixed[keyPath: row.denial]), "\(mixed)")
                #expect(mixed.passed + mixed[keyPath: row.denial] == mixed.offered)
                try site.must("canary", "abort", hooks.hook)
                #expect(try hooks.call(50, flows: 50).isPerfect)
                #expect(try hooks.status().live == 2 && hooks.directory.generations() == [1, 2])
                #expect(!hooks.directory.canary.exists)
                #expect(try hooks.fallbacks() == 0 && hooks.marks().mixed == 0)
                #expect(try site.ctl("doctor").succeeded)
            }
        }

        private static func begin(_ generation: Int, _ verdict: Verdict, at hooks: HookSite) throws {
            let begun = try hooks.site.ctl(
                "apply", "-f", "-", "--canary", "50%", "--for", "1h", "--no-wait", "--abort-if", "drop>+99.9%",
                input: hooks.walk(generation, verdict: verdict))
            guard begun.succeeded else { throw LabError(begun.errors) }
        }

        private static func walks(_ hooks: HookSite, of generations: [Int]) throws -> [UInt64] {
            try generations.map { try hooks.directory.generation($0).counters(2).packets }
        }
    }
}
