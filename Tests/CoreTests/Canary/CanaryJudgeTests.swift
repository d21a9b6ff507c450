// SPDX-License-Identifier: Apache-2.0

import SluiceAPI
import Testing

@testable import SluiceCore

@Suite struct CanaryJudgeTests {
    /// Packets of both sides, and how many of each were dropped.
    private static func counts(_ stable: (UInt64, UInt64), _ tried: (UInt64, UInt64)) -> CanaryCounts {
        func side(_ packets: UInt64, _ dropped: UInt64) -> StageCounters {
            StageCounters(
                packets: packets, bytes: packets * 64,
                verdicts: [
                    "drop": Count(packets: dropped, bytes: dropped * 64),
                    "pass": Count(packets: packets - dropped, bytes: (packets - dropped) * 64),
                ])
        }
        return CanaryCounts(stable: side(stable.0, stable.1), tried: side(tried.0, tried.1))
    }

    @Test(
        arguments: [
            // As many as the live one drops, more or less.
            ("drop>+1%", (10_000, 100), (500, 5), false), ("drop>+1%", (10_000, 100), (500, 9), false),
            // Above the bound, but so few packets say nothing; with more of them they do.
            ("drop>+1%", (10_000, 5000), (500, 260), false),
            ("drop>+1%", (1_000_000, 500_000), (500_000, 260_000), true),
            ("drop>+1%", (10_000, 0), (500, 500), true), ("drop>+1%", (0, 0), (500, 500), true),
            // At the bound is not above it.
            ("drop>+1%", (100_000_000, 0), (100_000_000, 1_000_000), false),
            // What should not become less.
            ("pass<-5%", (10_000, 0), (1000, 200), true), ("pass<-5%", (10_000, 0), (1000, 20), false),
            ("drop<-5%", (10_000, 9000), (1000, 0), true), ("drop>+1%", (10_000, 9000), (1000, 0), false),
            // What nothing is known of is not judged.
            ("drop>+1%", (10_000, 0), (0, 0), false),
        ] as [(String, (UInt64, UInt64), (UInt64, UInt64), Bool)])
    func objectsToWhatIsBeyondBoundAndChance(
        _ bound: String, _ stable: (UInt64, UInt64), _ tried: (UInt64, UInt64), _ objects: Bool
    ) throws {
        let judge = CanaryJudge(bounds: [try CanaryBound(parsing: bound)])
        #expect((judge.verdict(on: Self.counts(stable, tried)) != nil) == objects)
    }

    @Test func saysWhatDepartsFromWhat() throws {
        let judge = CanaryJudge(bounds: try CanaryBound.defaults.map { try CanaryBound(parsing: $0) })
        #expect(
            judge.verdict(on: Self.counts((8000, 40), (1000, 250)))
                == "drop 25% of 1000 packets, against 0.5% of 8000: more than drop>+1%")
    }

    @Test(arguments: ["drop>+1%", "drop>+0.25%", "pass<-5%", "fallthrough>+0%"])
    func boundsAreWrittenAsTheyAreRead(_ text: String) throws {
        #expect(try CanaryBound(parsing: text).description == text)
    }

    @Test(arguments: ["drop", "drop>1%", "drop>+1", "drop>-1%", "drop<+1%", "drop>+100%", "luck>+1%", "", "drop>+1%%"])
    func badBoundsAreRefused(_ text: String) {
        #expect(throws: APIErrorBody.self) { try CanaryBound(parsing: text) }
    }
}
