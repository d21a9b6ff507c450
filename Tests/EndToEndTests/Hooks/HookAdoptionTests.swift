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
    /// Objects that nobody wrote for Sluice, at every hook: in a chain they do what they do alone.
    @Suite struct HookAdoptionTests {
        private static let object = BuildProducts.object("plain", of: "fixture-stage")
        /// One that the object denies, and one that it allows.
        private static let ports = [7, 4242]

        @Test(arguments: HookCase.usual)
        func anObjectDoesInAChainWhatItDoesAlone(_ row: HookCase) async throws {
            try await HookSite.run(row) { hooks in
                let alone = try Self.alone(hooks)
                #expect(alone[0][keyPath: row.denial] == 20 && alone[1].isPerfect, "\(alone)")
                #expect(try hooks.programs().isEmpty)

                let site = hooks.site
                let spec = """
                    chains:
                      - hook: \(hooks.hook)
                    \(row.mode.map { "    mode: \($0)\n" } ?? "")\(row.kind == .xdp ? "    frags: false\n" : "")    stages:
                          - {name: plain, object: "\(Self.object)#\(row.plain)"}
                          - {name: behind, plugin: noop}
                    """
                let plan = try site.ctl("plan", "-f", "-", input: spec)
                #expect(plan.output.contains("+ stage plain: object plain.bpf.o#\(row.plain)"), "\(plan.errors)")
                try site.apply(spec)
                let woven = try Self.ports.map { try hooks.call(20, port: $0, wait: 30 * Lab.patience) }
                #expect(woven == alone)
                let stages = try hooks.status().stages.map { $0.counters?.verdicts.mapValues(\.packets) ?? [:] }
                if row.kind == .sockops {
                    #expect(stages[0]["drop"] ?? 0 >= 20 && stages[1]["next"] == stages[0]["next"], "\(stages)")
                } else {
                    // It goes on behind what it allows.
                    #expect(stages[0]["drop"] == 20 && stages[0]["next"] == 20 && stages[1]["next"] == 20, "\(stages)")
                }
                let seen = try site.must("map", "dump", hooks.hook, "plain", "seen", "-o", "json")
                #expect(seen.contains("\"allowed\"") && seen.contains("\"denied\""), "\(seen)")
                try site.must("detach", hooks.hook)
                #expect(try site.pins().isEmpty && hooks.programs().isEmpty)
            }
        }

        /// Where bit 1 of what a program returns says something too, as long as nothing comes behind it.
        @Test func aPortIsAllowedForThoseWhoMayNotHaveIt() async throws {
            try await HookSite.run(HookCase(kind: .cgroupBind4)) { hooks in
                func binds() throws -> Bool {
                    let call = "import socket; socket.socket().bind(('0.0.0.0', 80))"
                    let process = try hooks.lab.spawn(
                        ["sh", "-c", #"echo 0 > "$0/cgroup.procs" && exec "$@""#, hooks.cgroup]
                            + [
                                "setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", "/usr/bin/python3",
                                "-I", "-c", call,
                            ])
                    let isBound = try process.wait() == .exited(0)
                    if !isBound { #expect(process.errors.contains("PermissionError"), "\(process.errors)") }
                    return isBound
                }
                #expect(try !binds())
                let spec =
                    "chains: [{hook: \(hooks.hook), stages: [{name: ports, object: \(Self.object)#plain_low_ports}"
                let alone = try hooks.site.must("apply", "-f", "-", input: spec + "]}]")
                #expect(try binds() && !alone.contains("is lost behind"))
                let followed = try hooks.site.must(
                    "apply", "-f", "-", input: spec + ", {name: behind, plugin: noop}]}]")
                #expect(
                    followed.contains("that the port takes no CAP_NET_BIND_SERVICE, is lost behind another"),
                    "\(followed)")
                #expect(try !binds())
                try hooks.site.must("rollback", hooks.hook)
                #expect(try binds())
            }
        }

        /// What becomes of calls with the object's program itself at the place.
        private static func alone(_ hooks: HookSite) throws -> [CallTally] {
            let object = try BPFObject(contentsOf: object)
            let kind = hooks.directory.hook.program(frags: false)
            try object.load(program: hooks.row.plain, as: kind)
            let program = try object.program(hooks.row.plain)
            var link: BPFLink?
            let pin = "\(hooks.lab.bpffs)/alone"
            let index = XDP.interfaceIndex("hook0") ?? 0
            let direction: TrafficControl.Direction = hooks.row.kind == .tcEgress ? .egress : .ingress
            switch hooks.row.kind.place {
            case .interface where hooks.row.kind == .xdp: link = try XDP.attach(program, to: index, mode: .native)
            case .interface: try TrafficControl.attachByFilter(program, to: index, direction, priority: 1, handle: 1)
            case .cgroup: link = try Cgroup.attach(program, as: kind, to: hooks.cgroup)
            case .group: try program.pin(at: pin)
            }
            let tallies = try ports.map { try hooks.call(20, port: $0, wait: 30 * Lab.patience, filter: pin) }
            switch link {
            case .some(let link): try link.detach()
            case .none where hooks.row.kind.place == .interface: try TrafficControl.removeQdisc(from: index)
            case .none: break
            }
            return tallies
        }
    }
}
