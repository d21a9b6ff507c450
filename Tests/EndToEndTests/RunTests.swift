// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageKit
import StageTesting
import Testing

extension EndToEnd {
    /// A stage with work to do while it is live; its plugin is a shell script, as it might be in any language.
    @Suite struct RunTests {
        @Test func aLiveStageSetsItsMapAgainInEveryGeneration() async throws {
            try await Lab.run { lab in
                let site = try Site(lab)
                try Self.installKnob(site)
                try site.start()
                try site.apply(Self.spec("knob"))
                try lab.until("the knob is turned") { try site.verdict(port: 7) == .drop }
                // Another generation has a map of its own; the same session is told and turns that knob too.
                try site.apply(Self.spec("knob", more: "      - {name: last, plugin: noop}\n"))
                try lab.until("the knob is turned behind an apply") { try site.verdict(port: 7) == .drop }
                try site.must("rollback", "xdp:edge0")
                try lab.until("the knob is turned behind a rollback") {
                    try site.events().filter { $0.action == "map-update" }.count == 3
                }
                #expect(try site.verdict(port: 7) == .drop)
                // What it may not do is refused, told to it, and changes nothing.
                #expect(site.daemon!.errors.contains("no configuration map"))
                // A daemon that comes back starts it again, from the artifact.
                site.killDaemon()
                try FileManager.default.removeItem(atPath: site.plugins)
                try site.start()
                try lab.until("the run is started again") {
                    try site.events().filter { $0.action == "map-update" }.count == 4
                }
                try site.must("detach", "xdp:edge0")
                try lab.until("the run has ended") { try !lab.check(["ps", "-eo", "args"]).contains("artifacts/") }
            }
        }

        private static func spec(_ plugin: String, more: String = "") -> String {
            "chains:\n  - hook: xdp:edge0\n    stages:\n      - {name: knob, plugin: \(plugin)}\n" + more
        }

        private static func installKnob(_ site: Site) throws {
            let folder = "\(site.plugins)/knob/1.0"
            let script = """
                #!/bin/sh
                n=0
                update() {
                    n=$((n + 1))
                    echo '{"sluice":1,"event":"map-update","id":'$n',"map":"'$1'","entries":[{"key":"00000000","value":"01000000"}]}'
                }
                while read -r line; do
                    case $line in
                    *'"describe"'*) echo '{"sluice":1,"id":1,"result":{"name":"knob","version":"1.0","summary":"Drops once told.","hooks":["xdp"],"runs":true}}' ;;
                    *'"plan"'*) echo '{"sluice":1,"id":2,"result":{"object":"knob.bpf.o","program":"knob","verdicts":["next","drop"]}}' ;;
                    *'"error"'*) echo "$line" >&2 ;;
                    *'"live"'* | *'"flipped"'* | *'"rolled-back"'*) update sluice_counters; update knob_verdict ;;
                    *'"stop"'*) exit 0 ;;
                    esac
                done
                """
            try site.lab.check(["mkdir", "-p", folder])
            try site.lab.check(["sh", "-c", "cat > \(folder)/knob && chmod 755 \(folder)/knob"], input: script + "\n")
            try site.lab.check(["cp", BuildProducts.object("knob", of: "fixture-stage"), folder])
        }
    }
}
