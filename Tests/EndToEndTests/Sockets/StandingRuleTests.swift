// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import SluiceSockets
import StageTesting
import Testing

extension EndToEnd {
    @Suite struct StandingRuleTests {
        static func rule(_ text: String) -> String { "    match: [{\(text)}]\n" }

        @Test func aRestartedServiceIsInItsGroupWithinASecond() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                let site = sockets.site
                try site.apply(SocketSite.gate(false, extra: Self.rule("local: \"10.9.0.1:5300/udp\"")))
                let plan = try site.must("history", "socket-filter:dns", "-v")
                #expect(plan.contains("+ match: 10.9.0.1:5300/udp"))
                // In the middle of a flood, too.
                let flood = try SequenceSender(lab: lab, netns: "client", to: Site.edge, port: 5300, rate: 5_000)
                defer { _ = try? flood.stop() }
                for _ in 1...3 {
                    // Another port, another address: not its concern.
                    let service = try sockets.service([
                        "udp 10.9.0.1 5300", "udp 10.9.0.1 5301", "udp 127.0.0.1 5300", "tcp 10.9.0.1 5300",
                    ])
                    try lab.until("it joins", timeout: .seconds(1)) {
                        try sockets.cookies() == [service.cookies[0]]
                    }
                    #expect(try sockets.echoed("10.9.0.1", port: 5300).isEmpty)
                    #expect(try sockets.echoed("10.9.0.1", port: 5301) == [10])
                    #expect(try sockets.members().map(\.byRule) == [true])
                    service.process.kill()
                }
                // The rule is the chain's: it survives the daemon, and goes with the spec.
                site.killDaemon()
                try site.start()
                let service = try sockets.service(["udp 10.9.0.1 5300"])
                try lab.until("it joins", timeout: .seconds(1)) { try sockets.cookies() == Set(service.cookies) }
                service.process.kill()
                #expect(try site.apply(SocketSite.gate(false)).contains("socket-filter:dns"))
                #expect(try site.must("history", "socket-filter:dns", "-v").contains("- match: 10.9.0.1:5300/udp"))
                let free = try sockets.service(["udp 10.9.0.1 5300"])
                usleep(1_200_000)
                #expect(try sockets.members().isEmpty)
                free.process.kill()
            }
        }

        @Test func onlySocketsOfItsCgroup() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                let mount = try #require(try Self.cgroupMount())
                let name = "sluice-rule-\(getpid())"
                let folder = "\(mount)/\(name)"
                try FileManager.default.createDirectory(atPath: "\(folder)/inner", withIntermediateDirectories: true)
                defer {
                    for path in ["\(folder)/inner", folder] {
                        for _ in 1...200 where rmdir(path) != 0 && errno != ENOENT { usleep(10_000) }
                    }
                }
                try sockets.site.apply(
                    SocketSite.gate(false, extra: Self.rule("local: \"*:5300/udp\", cgroup: /\(name)")))
                let stranger = try sockets.service(["udp 10.9.0.1 5300 share"])
                let join = ["sh", "-c", "echo $$ > \(folder)/inner/cgroup.procs && exec \"$@\"", "sh"]
                let ours = try sockets.service(["udp 10.9.0.1 5300 share", "udp fd00:9::1 5300"], prefix: join)
                try lab.until("both join", timeout: .seconds(1)) { try sockets.cookies() == Set(ours.cookies) }
                usleep(600_000)
                #expect(try sockets.cookies() == Set(ours.cookies), "the stranger's stays out")
                #expect(try sockets.site.status("socket-filter:dns").notes.isEmpty)
                stranger.process.kill()
                ours.process.kill()
            }
        }

        @Test func onlySocketsOfItsNetworkNamespace() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                let site = sockets.site
                try site.apply(
                    SocketSite.gate(false, extra: Self.rule("local: \"*:5300/udp\", netns: client")))
                let stranger = try sockets.service(["udp 10.9.0.1 5300"])
                let inside = ["nsenter", "--net=/run/netns/client"]
                for _ in 1...2 {
                    let ours = try sockets.service(["udp 10.9.0.2 5300", "udp fd00:9::2 5300"], prefix: inside)
                    try lab.until("both join", timeout: .seconds(1)) { try sockets.cookies() == Set(ours.cookies) }
                    ours.process.kill()
                    try lab.until("they leave") { try sockets.cookies().isEmpty }
                }
                stranger.process.kill()
                // Where there is no such namespace it is told, and the chain lives.
                try site.apply(SocketSite.gate(false, extra: Self.rule("local: \"*:5300/udp\", netns: nowhere")))
                try lab.until("it is told") { try !site.status("socket-filter:dns").notes.isEmpty }
                #expect(try site.status("socket-filter:dns").notes[0].contains("nowhere"))
            }
        }

        @Test func whatCannotBeBroughtInIsToldOnce() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                let site = sockets.site
                try site.apply(SocketSite.gate(false, extra: Self.rule("local: \"*:5300/udp\"")))
                let service = try sockets.service(["udp 10.9.0.1 5300 classic lock"])
                try lab.until("it is told") { try !site.status("socket-filter:dns").notes.isEmpty }
                #expect(try site.status("socket-filter:dns").notes[0].contains("10.9.0.1:5300/udp: join dns: "))
                let doctor = try site.ctl("doctor")
                #expect(
                    doctor.status == .exited(1)
                        && doctor.output.contains("a socket of a standing rule is not in the group"))
                usleep(4_000_000)
                let told = try site.events().filter { $0.action == "join" && $0.outcome == "failed" }
                #expect(told.count == 1)
                service.process.kill()
                try lab.until("it is over with the socket") { try site.status("socket-filter:dns").notes.isEmpty }
                // Without the right to look, the remedy is named.
                site.killDaemon()
                try site.start(prefix: [
                    "setpriv", "--bounding-set", "-sys_ptrace,-dac_read_search,-dac_override", "--inh-caps=-all",
                ])
                let other = try sockets.service(["udp 10.9.0.1 5300"])
                try lab.until("it is told") { try !site.status("socket-filter:dns").notes.isEmpty }
                #expect(try site.status("socket-filter:dns").notes[0].contains("sockets.conf.example"))
                other.process.kill()
            }
        }

        @Test func aDaemonWithARuleDoesNotLeave() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                let site = sockets.site
                try site.apply(SocketSite.gate(false, extra: Self.rule("local: \"*:5300/udp\"")))
                site.killDaemon()
                try site.start(idle: 1)
                usleep(3_000_000)
                #expect(site.daemon?.isRunning == true)
                try site.apply(SocketSite.gate(false))
                try lab.until("it leaves without one") { site.daemon?.isRunning == false }
            }
        }

        private static func cgroupMount() throws -> String? {
            try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8).split(separator: "\n")
                .first { $0.contains(" - cgroup2 ") }.map { String($0.split(separator: " ")[4]) }
        }
    }
}

extension SocketSite {
    func cookies(_ group: String = "dns") throws -> Set<UInt64> { Set(try members(group).map(\.cookie)) }
}
