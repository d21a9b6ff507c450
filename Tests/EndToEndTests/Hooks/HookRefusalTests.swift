// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// What cannot be at a hook is one clear error, and changes nothing.
    @Suite struct HookRefusalTests {
        struct Mistake {
            var spec: String
            var says: String
        }

        /// What is wrong at every hook of a kind.
        private static func mistakes(_ row: HookCase) -> [Mistake] {
            let kind = row.kind.rawValue
            func at(_ place: String, _ extra: String = "", stage: String = "{name: s, plugin: noop}") -> String {
                "chains:\n  - hook: \"\(kind):\(place)\"\n\(extra)    stages: [\(stage)]\n"
            }
            func checking(_ verdict: String) -> String {
                "{name: s, plugin: fixture-stage, config: {program: check, verdict: \(verdict)}}"
            }
            let alien = Verdict.allCases.filter { !row.kind.verdicts.contains($0) && $0 != .next }
            let place = row.kind.place == .interface ? "hook0" : row.kind.place == .cgroup ? "/sluice-nowhere" : "hooks"
            let verdicts = alien.map {
                Mistake(
                    spec: at(place, stage: checking($0.rawValue)),
                    says: "\"\($0.rawValue)\" is no verdict of \(kind), which has: drop, pass")
            }
            let frags = Mistake(
                spec: at(place, "    frags: true\n"), says: "a hook of kind \(kind) has no frags; leave it out")
            let mode = Mistake(
                spec: at(place, "    mode: native\n"), says: "a hook of kind \(kind) has no mode; leave it out")
            let netns = Mistake(
                spec: at(place, "    netns: /run/netns/client\n"), says: "only an interface is in a network namespace")
            switch row.kind.place {
            case .interface:
                let names = ["", "a-name-that-is-too-long", "a b", "a/b"].map {
                    Mistake(spec: at($0), says: "an interface name has 1 to 15 characters")
                }
                return verdicts + names + [
                    Mistake(
                        spec: at("nowhere0"), says: "there is no interface \"nowhere0\"; create it, or correct the name"
                    ),
                    Mistake(
                        spec: at("hook0", "    mode: sideways\n"),
                        says: "\"sideways\" is none of: "
                            + (row.kind == .xdp ? "native, generic, auto" : "auto, tcx, clsact")),
                ] + (row.kind == .xdp ? [] : [frags])
            case .cgroup:
                let paths = [
                    ("", "expected a cgroup's path"),
                    ("relative/path", "expected a cgroup's path, which begins with a /"),
                    ("/a//b", "no empty part"), ("/a/../b", "no \"..\""), ("/a/", "no / at its end"),
                    ("/sys/fs/cgroup/memory/edge", "give the path below the mount of cgroup2"),
                    ("/sluice-nowhere", "there is no cgroup /sluice-nowhere; create it, or correct the path"),
                    (
                        "sluice-nowhere.service",
                        "there is no cgroup of unit sluice-nowhere.service; start it, or correct the name"
                    ),
                    ("sluice-nowhere.conf", "or the name of a .service, .slice, .scope or .socket"),
                ]
                return verdicts + paths.map { Mistake(spec: at($0.0), says: $0.1) } + [frags, mode, netns]
            case .group:
                return verdicts
                    + ["", "a/b", "a.b"].map {
                        Mistake(
                            spec: at($0), says: "a group's name has 1 to 32 letters, digits, hyphens and underscores")
                    } + [frags, mode, netns]
            }
        }

        @Test(arguments: HookCase.usual.filter { $0.mode == nil })
        func aMistakeIsOneClearErrorAndChangesNothing(_ row: HookCase) async throws {
            try await HookSite.run(row) { hooks in
                let site = hooks.site
                try site.apply(hooks.walk(1))
                let before = try site.snapshot()
                for mistake in Self.mistakes(row) {
                    let result = try site.ctl("apply", "-f", "-", input: mistake.spec)
                    #expect(result.status == .exited(1), "\(mistake.spec)")
                    #expect(result.errors.contains(mistake.says), "\(mistake.spec)\(result.errors)")
                    #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
                }
                if !row.kind.hasFlows {
                    let canary = try site.ctl("apply", "-f", "-", "--canary", "5%", input: hooks.walk(2))
                    #expect(canary.status == .exited(1))
                    #expect(canary.errors.contains("what comes there belongs to no flow"), "\(canary.errors)")
                }
                #expect(try site.snapshot() == before)
                #expect(try hooks.call(20).isPerfect && hooks.marks() == (20, 0))
            }
        }

        /// The cgroup goes at some moment of an apply: that one fails and leaves nothing, or the chain waits.
        @Test func aCgroupThatGoesWhileAChainIsApplied() async throws {
            try await HookSite.run(HookCase(kind: .cgroupConnect4)) { hooks in
                let site = hooks.site
                let start = ContinuousClock.now
                try site.apply(hooks.walk(1))
                let duration = ContinuousClock.now - start
                try site.must("detach", hooks.hook)
                var fates: Set<String> = []
                // From its beginning to a moment after its end.
                for turn in 0..<8 {
                    let apply = try hooks.lab.spawn(
                        [BuildProducts.path("sluicectl"), "apply", "-f", "-"], input: hooks.walk(1),
                        environment: ["SLUICE_SOCKET": site.socket])
                    usleep(UInt32(duration / .microseconds(1) * Double(turn) / 5))
                    try hooks.removePlace()
                    let status = try apply.wait()
                    let pins = try site.pins()
                    if status == .exited(0) {
                        try hooks.lab.until("the chain waits") { try hooks.status().state == .waiting }
                        try site.must("detach", hooks.hook)
                        fates.insert("applied")
                    } else {
                        #expect(
                            apply.errors.contains("there is no cgroup") || apply.errors.contains("has gone meanwhile"),
                            "\(apply.errors)")
                        #expect(pins.isEmpty, "\(pins)")
                        fates.insert("refused")
                    }
                    try hooks.makePlace()
                    #expect(try hooks.programs().isEmpty && site.pins().isEmpty)
                    #expect(try site.ctl("doctor").succeeded)
                }
                print("a cgroup that went during an apply: \(fates.sorted())")
                try site.apply(hooks.walk(1))
                #expect(try hooks.call(20).isPerfect)
            }
        }
    }
}
