// SPDX-License-Identifier: Apache-2.0

import BPF
import Foundation
import Glibc
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// Places that go and come again, as an interface with its driver and a cgroup with its service: the chain follows.
    @Suite struct HookPlaceTests {
        static let places = HookCase.usual.filter { $0.kind.place != .group }

        @Test(arguments: places)
        func aPlaceThatIsMadeAgainGetsItsChain(_ row: HookCase) async throws {
            try await HookSite.run(row) { hooks in
                let site = hooks.site
                try site.apply(hooks.walk(1, verdict: .drop))
                #expect(try !hooks.passes())
                var count = try site.events().count
                try hooks.removePlace()
                let gone = "there is no \(hooks.directory.hook.target)"
                try Self.expect(.waiting, hooks, telling: gone, after: count)
                #expect(try hooks.status().notes.contains { $0.contains(gone) })
                #expect(try site.ctl("doctor").succeeded)
                // A chain that waits can be changed.
                try site.apply(hooks.walk(2, verdict: .drop))

                count = try site.events().count
                let start = ContinuousClock.now
                try hooks.makePlace()
                let made = ContinuousClock.now
                try hooks.lab.until("the root is there again") { try hooks.programs().count == 1 }
                print(
                    "\(row.testDescription): the place made in \(made - start), attached \(ContinuousClock.now - made) later"
                )
                try Self.expect(.live, hooks, telling: "it had waited since", after: count)
                #expect(try !hooks.passes())
                #expect(try hooks.directory.generation(2).counters(2).packets > 0)

                // In the same breath, as when a service is restarted.
                count = try site.events().count
                try hooks.removePlace()
                try hooks.makePlace()
                try Self.expect(.live, hooks, telling: "attached the root to \(hooks.hook)", after: count)
                #expect(try hooks.programs().count == 1 && !hooks.passes())
                try site.must("detach", hooks.hook)
                #expect(try site.pins().isEmpty && hooks.programs().isEmpty)
            }
        }

        /// By the name of a unit, wherever systemd puts it; its processes are there before the chain is.
        @Test(arguments: [HookKind.cgroupConnect4, .cgroupSkbEgress, .sockops])
        func aUnitIsFoundInItsSlice(_ kind: HookKind) async throws {
            try await HookSite.run(HookCase(kind: kind)) { hooks in
                let site = hooks.site
                let name = "sluice-\(getpid()).service"
                let unit = "\(kind.rawValue):\(name)"
                let folder = "\(hooks.cgroup)/\(name)"
                defer { rmdir(folder) }
                let spec = hooks.walk(1, verdict: .drop, hook: unit)
                let absent = try site.ctl("apply", "-f", "-", input: spec)
                #expect(absent.errors.contains("there is no cgroup of unit \(name); start it, or correct the name"))
                #expect(try site.pins().isEmpty)

                guard mkdir(folder, 0o755) == 0 else { throw LabError("mkdir \(folder)") }
                try site.apply(spec)
                #expect(try !hooks.passes(in: folder))
                // Its neighbour in the slice is not asked.
                let isAsked = kind != .sockops
                #expect(try hooks.passes() == isAsked)
                for turn in 1...3 {
                    let count = try site.events().count
                    var steps = rmdir(folder)
                    // An empty slice goes too, and comes a moment before its unit.
                    if turn > 1 { steps |= rmdir(hooks.cgroup) | mkdir(hooks.cgroup, 0o755) }
                    if turn > 2 { usleep(40_000) }
                    steps |= mkdir(folder, 0o755)
                    guard steps == 0 else { throw LabError("make \(folder) again") }
                    let made = ContinuousClock.now
                    let service = try hooks.start(wait: 20, in: folder)
                    try hooks.lab.until("the new cgroup has the chain", timeout: .seconds(5)) {
                        try Cgroup.programs(of: ProgramKind(hook: kind.rawValue)!, at: folder).count == 1
                    }
                    print("\(unit): attached \(ContinuousClock.now - made) after its cgroup was made")
                    try hooks.lab.until("it is told") {
                        try site.events().dropFirst(count).contains {
                            $0.message.contains("attached the root to \(unit)")
                        }
                    }
                    // A process that was there before is asked from now on.
                    let before = try service.tally
                    try hooks.lab.until("more is called") { service.offered > before.offered + 20 }
                    let after = try service.stop()
                    #expect(after.passed <= before.passed + 1, "\(before), then \(after)")
                    try hooks.lab.until("the process has gone") {
                        try String(contentsOfFile: "\(folder)/cgroup.procs", encoding: .utf8).isEmpty
                    }
                }
                #expect(try site.status(unit).state == .live)
                try site.must("detach", unit)
                #expect(try site.pins().isEmpty)
            }
        }

        private static func expect(
            _ state: ChainState, _ hooks: HookSite, telling event: String, after count: Int
        ) throws {
            try hooks.lab.until("it is told: \(event)") {
                try hooks.site.events().dropFirst(count).contains { $0.message.contains(event) && $0.outcome == "done" }
            }
            #expect(try hooks.status().state == state)
        }
    }
}
