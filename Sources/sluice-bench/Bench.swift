// SPDX-License-Identifier: Apache-2.0

@preconcurrency import Foundation
import StageTesting

/// `make bench`: what Sluice costs, on real packets and a real daemon, in one run. Times are never judged here; what
/// must hold (no packet lost, none mixed) ends the run when it does not.
@main
enum Bench {
    static func main() {
        // A line at a time, also into a file: a run takes minutes.
        setvbuf(stdout, nil, _IOLBF, 0)
        do {
            try run()
        } catch {
            FileHandle.standardError.write(Data("sluice-bench: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run() throws {
        var arguments = Array(CommandLine.arguments.dropFirst())
        var json: String?
        if arguments.count >= 2, arguments[0] == "--json" {
            json = arguments[1]
            arguments.removeFirst(2)
        }
        guard arguments.count <= 1, arguments.first?.hasPrefix("-") != true else {
            FileHandle.standardError.write(
                Data("usage: sluice-bench [--json FILE] [WORD], for the parts with WORD in their title\n".utf8))
            exit(64)
        }
        guard Lab.isAvailable else {
            FileHandle.standardError.write(Data("sluice-bench: needs root, for BPF and network namespaces\n".utf8))
            exit(1)
        }
        var figures: [Figure] = []
        let parts: [(String, @Sendable (Lab) throws -> [Figure])] = [
            ("chains of pass-on stages, a packet through the root by test run", ChainBench.run),
            ("the volumetric-dos stage alone, beside xdp-filter", DoSBench.run),
            ("live frames dropped by one core, volumetric-dos", DropBench.run),
            ("changes of 10,000 rules", RuleChangeBench.run),
            ("the l4lb stage", L4LBBench.run),
            ("the tc-egress stage", TCEgressBench.run),
            ("the udp-ratelimit stage", UDPRateLimitBench.run),
            ("calls under a cgroup-policy", CgroupPolicyBench.run),
            ("objects of others: alone, and adopted into a chain", AdoptionBench.run),
            ("flips in a flood of live frames", FlipBench.run),
            ("canaries", CanaryBench.run),
            ("the manager", ManagerBench.run),
        ]
        for (title, part) in parts where arguments.allSatisfy(title.contains) {
            print("\n\(title)")
            for figure in try Lab.runBlocking(part) {
                let name = figure.name.padding(toLength: 46, withPad: " ", startingAt: 0)
                let values = "min \(figure.series.minimum.short)  median \(figure.series.median.short) \(figure.unit)"
                print("  \(name) \(values)\(figure.note.isEmpty ? "" : "   (\(figure.note))")")
                figures.append(figure)
            }
        }
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            try encoder.encode(figures).write(to: URL(filePath: json))
            print("\nas JSON: \(json)")
        }
    }
}
