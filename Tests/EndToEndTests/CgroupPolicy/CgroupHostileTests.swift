// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import SluiceAPI
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// A policy where things are large, wrong, or go away.
    @Suite struct CgroupHostileTests {
        private static func many(_ count: Int, mode: String = "enforce") -> String {
            // Neither the addresses that tests use, nor prefixes that are in one another.
            let prefixes = (0..<count).map { "100.\(64 + $0 >> 16).\($0 >> 8 & 255).\($0 & 255)/32" }
            return """
                mode: \(mode)
                connect:
                  default: allow
                  rules: [{name: listed, to: [\(prefixes.joined(separator: ", "))], port: 443, action: deny}]
                """
        }

        @Test func tenThousandPrefixes() async throws {
            try await PolicySite.run { policy in
                try policy.apply(["cgroup-connect4", "cgroup-connect6"], Self.many(10_000))
                for address in ["100.64.0.0", "100.64.39.15", "::ffff:100.64.20.7"] {
                    #expect(try policy.call("connect", "udp", address, "443") == EPERM, "\(address)")
                    // What is not denied goes on to the kernel, which has no way there.
                    #expect(try policy.call("connect", "udp", address, "80") == ENETUNREACH, "\(address)")
                }
                #expect(try policy.call("connect", "udp", "100.64.39.16", "443") == ENETUNREACH)
                #expect(try policy.count("cgroup-connect4", "listed") == 2)
                let text = try policy.site.must(
                    "policy", "explain", policy.hook("cgroup-connect4"), "policy", "udp", "100.64.39.15:443")
                #expect(text.contains("connect to 100.64.39.15:443 (udp) is denied by rule \"listed\""), "\(text)")
            }
        }

        @Test func aRestartedServiceIsUnderThePolicyAgain() async throws {
            try await PolicySite.run { policy in
                try policy.apply(["cgroup-connect4"], "mode: enforce\nconnect: {default: deny}")
                for _ in 0..<3 {
                    #expect(try policy.call("connect", "udp", "10.9.0.2", "9") == EPERM)
                    policy.removeCgroup()
                    try policy.lab.until("its chain has nowhere to be") {
                        try policy.site.status(policy.hook("cgroup-connect4")).state != .live
                    }
                    try policy.makeCgroup()
                    try policy.lab.until("it is under the policy again", timeout: .seconds(1)) {
                        try policy.call("connect", "udp", "10.9.0.2", "9") == EPERM
                    }
                }
            }
        }

        @Test func whereItCannotBeIsSaid() async throws {
            try await PolicySite.run { policy in
                let config = "mode: audit\nconnect: {default: deny}"
                for (place, message) in [
                    (
                        "/sys/fs/cgroup/cpu/web",
                        "give the path below the mount of cgroup2, as in /proc/PID/cgroup behind the \"0::\""
                    ),
                    ("/sluice-no-such/web", "there is no cgroup /sluice-no-such/web; create it, or correct the path"),
                    ("sluice-no-such.service", "there is no cgroup of unit sluice-no-such.service; start it"),
                    ("web", "expected a cgroup's path, which begins with a /, or the name of a .service"),
                ] {
                    let result = try policy.site.ctl(
                        "apply", "-f", "-", "--output", "json",
                        input: policy.spec(["cgroup-connect4"], config, place: place))
                    #expect(!result.succeeded && (result.output + result.errors).contains(message), "\(result)")
                }
                let wrong = try policy.site.ctl(
                    "apply", "-f", "-", input: policy.spec(["xdp"], config, place: "edge0"))
                #expect(wrong.errors.contains("cgroup-policy"), "\(wrong.errors)")
                let left = try policy.pins(["cgroup-connect4"])
                #expect(left.isEmpty, "\(left)")
            }
        }

        /// However far it has come: either the policy is there, or why not is said, and nothing is left over.
        @Test func aCgroupThatGoesInMidApply() async throws {
            try await PolicySite.run { policy in
                let spec = policy.spec(["cgroup-connect4"], Self.many(2000))
                for delay in stride(from: 0, to: 500_000, by: 45_000) {
                    try policy.makeCgroup()
                    let apply = try policy.lab.spawn(
                        [BuildProducts.path("sluicectl"), "apply", "-f", "-"], input: spec,
                        environment: ["SLUICE_SOCKET": policy.site.socket])
                    usleep(UInt32(delay))
                    policy.removeCgroup()
                    let status = try apply.wait(timeout: .seconds(60))
                    let hook = policy.hook("cgroup-connect4")
                    if status != .exited(0) {
                        #expect(
                            apply.errors.contains("there is no cgroup of unit \(policy.unit)")
                                || apply.errors.contains("the cgroup has gone meanwhile"), "\(apply.errors)")
                    } else {
                        try policy.site.must("detach", hook)
                    }
                    let left = try policy.pins(["cgroup-connect4"])
                    #expect(left.isEmpty, "\(left)")
                }
                // Ends with 1 if it finds something.
                try policy.site.must("doctor")
            }
        }

        @Test func aFloodOfDenialsIsTold() async throws {
            try await PolicySite.run { policy in
                try policy.apply(["cgroup-sendmsg4"], "mode: enforce\nsend: {default: deny}")
                let flood = try policy.spawn(["python3", "-I", "-c", Self.flood])
                #expect(try flood.wait() == .exited(0), "\(flood.errors)")
                let sent = try #require(UInt64(flood.output.trimmingCharacters(in: .whitespacesAndNewlines)))
                #expect(try policy.count("cgroup-sendmsg4", "default") == sent)
                try policy.report("denied send to", "more by this rule were not told one by one")
                let reports = try policy.site.events().count { $0.action == "report" }
                #expect(reports < 80, "\(reports)")
                let hook = policy.hook("cgroup-sendmsg4")
                let top = try policy.site.must("stats", hook, "--stage", "policy", "--top", "denials")
                #expect(top.contains("pid \(flood.pid) \"python3\""), "\(top)")
                let list = try policy.site.must("rule", "list", hook, "policy")
                #expect(list.contains("default") && list.contains("deny"), "\(list)")
                let wrong = try policy.site.ctl("stats", hook, "--stage", "policy", "--top", "colours")
                #expect(
                    wrong.errors.contains("\"denials\", \"destinations\", \"processes\", \"rules\""), "\(wrong.errors)")
                let other = try policy.site.must("stats", hook, "--stage", "policy", "--top", "destinations")
                #expect(other.contains("10.9.0.2:"), "\(other)")
            }
        }

        /// To a thousand ports, for two seconds, as fast as it can.
        private static let flood = """
            import socket, time
            s, sent, end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0, time.monotonic() + 2
            while time.monotonic() < end:
                try: s.sendto(b'x', ('10.9.0.2', 1000 + sent % 1000))
                except PermissionError: pass
                sent += 1
            print(sent)
            """
    }
}
