// SPDX-License-Identifier: Apache-2.0

import Foundation
import SluiceAPI
import StageTesting
import Testing

extension EndToEnd {
    /// What is no socket, not ours, or somebody else's already: told clearly, with nothing changed and nothing leaked.
    @Suite struct SocketRefusalTests {
        private static let knock = """
            use Socket; socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0);
            connect($s, pack_sockaddr_un($ARGV[0])) and exit 0; print $!; exit 1
            """

        @Test func processesThatAreNotThereOrNotOurs() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                try sockets.site.apply(SocketSite.watching())
                let service = try sockets.service(["udp 10.9.0.1 5300"])
                let before = try sockets.descriptors()
                func refusal(_ pid: String) throws -> String {
                    try sockets.refusal("socket", "add", "dns", "--pid", pid, "--local", "*:5300/udp")
                }
                #expect(try refusal("0").contains("there is no process 0"))
                #expect(try refusal("4194305").contains("there is no process 4194305"))
                let gone = try sockets.service(["udp 10.9.0.1 5301"])
                gone.process.kill()
                #expect(try refusal("\(gone.pid)").contains("there is no process \(gone.pid)"))
                #expect(
                    try sockets.refusal("socket", "add", "web", "--pid", "\(service.pid)", "--local", "*:5300/udp")
                        .contains("there is no group \"web\"; groups: dns"))
                #expect(try sockets.refusal("socket", "list", "web").contains("there is no chain on socket-filter:web"))
                // Another user may neither look into the process nor hand sockets over.
                let stranger = try lab.spawn(
                    [
                        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BuildProducts.path("sluicectl"),
                        "socket", "add", "dns", "--pid", "\(service.pid)", "--local", "*:5300/udp",
                    ], environment: ["SLUICE_SOCKET": sockets.site.socket])
                #expect(try stranger.wait() == .exited(1))
                #expect(
                    stranger.errors.contains("process \(service.pid) belongs to somebody else: run as root"),
                    "\(stranger.errors)")
                let own = try lab.spawn(
                    ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "perl", "-e", Self.knock]
                        + [sockets.joinSocket])
                #expect(try own.wait() == .exited(1))
                #expect(own.output == "Permission denied")
                #expect(try sockets.members().isEmpty)
                #expect(try sockets.descriptors() <= before)
            }
        }

        @Test func filtersOfOthersAreToldAndNotFought() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                let site = sockets.site
                try site.apply(SocketSite.gate(false))
                try site.apply(SocketSite.watching("other"))
                let service = try sockets.service([
                    "udp 10.9.0.1 5300 classic", "udp 10.9.0.1 5301 classic lock", "udp 10.9.0.1 5302",
                    "udp 10.9.0.1 5303",
                ])
                func refusal(_ port: Int, _ more: String..., group: String = "dns") throws -> String {
                    let result = try site.ctl(
                        ["socket", "add", group, "--pid", "\(service.pid)", "--local", "10.9.0.1:\(port)/udp"] + more)
                    #expect(result.status == .exited(1))
                    return result.errors
                }
                #expect(
                    try refusal(5300).contains(
                        "join dns: 10.9.0.1:5300/udp has a classic BPF filter of 1 instructions already; --replace takes its"
                    ))
                #expect(try refusal(5301, "--replace").contains("its owner has locked that (SO_LOCK_FILTER)"))
                #expect(try sockets.members().isEmpty)
                #expect(try sockets.echoed("10.9.0.1", port: 5300) == [10])
                try sockets.mustAdd(service, "10.9.0.1:5300/udp", "--replace")
                #expect(try sockets.echoed("10.9.0.1", port: 5300).isEmpty)
                // Of two groups a socket is in one.
                try sockets.mustAdd(service, "10.9.0.1:5302/udp")
                #expect(
                    try refusal(5302, "--replace", group: "other").contains(
                        "10.9.0.1:5302/udp is in the group dns, and a"))
                // What a group leaves behind that lost its pins is an eBPF filter of nobody.
                site.killDaemon()
                try lab.check(["find", "\(site.bpffs)/socket-filter:dns", "-type", "f", "-delete"])
                try lab.check(["find", "\(site.bpffs)/socket-filter:dns", "-delete"])
                try site.start()
                #expect(
                    try refusal(5302, group: "other").contains(
                        "has an eBPF filter (somebody else's, or of a group that"))
                try sockets.mustAdd(service, "10.9.0.1:5302/udp", "--replace", group: "other")
                #expect(try sockets.members("other").count == 1)
            }
        }

        @Test func oneThatCannotJoinKeepsTheOthersOut() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                try sockets.site.apply(SocketSite.gate(false))
                let service = try sockets.service(["udp 10.9.0.1 5300 share", "udp 10.9.0.1 5300 share classic lock"])
                let result = try sockets.add(service, "10.9.0.1:5300/udp", "--all", "--replace")
                #expect(result.status == .exited(1) && result.errors.contains("SO_LOCK_FILTER"))
                #expect(try sockets.members().isEmpty)
            }
        }

        @Test func aDetachLeavesNoSocketDroppingForGood() async throws {
            try await Lab.run { lab in
                let sockets = try SocketSite(lab)
                let site = sockets.site
                try site.apply(SocketSite.watching(extra: "    on-fault: drop\n"))
                let service = try sockets.service(["udp 10.9.0.1 5300", "udp 10.9.0.1 5301"])
                try sockets.mustAdd(service, "10.9.0.1:5300/udp")
                try sockets.mustAdd(service, "10.9.0.1:5301/udp")
                // A daemon that may not take descriptors of others can take no filter off.
                site.killDaemon()
                try site.start(prefix: ["setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps=-all"])
                let refusal = try sockets.refusal("detach", "socket-filter:dns")
                #expect(
                    refusal.contains("2 sockets cannot be reached, and would drop everything from then on"),
                    "\(refusal)")
                #expect(refusal.contains("10.9.0.1:5300/udp: no process is seen that holds it"))
                #expect(try site.status("socket-filter:dns").state == .live)
                #expect(try sockets.echoed("10.9.0.1", port: 5300) == [10])
                // Who may, does it instead.
                try site.must("socket", "remove", "dns", "--all")
                try site.must("detach", "socket-filter:dns")
                #expect(try site.pins().isEmpty)
                #expect(try sockets.echoed("10.9.0.1", port: 5300) == [10])
                // Of a group that fails open it is told only.
                try site.apply(SocketSite.gate(false))
                try sockets.mustAdd(service, "10.9.0.1:5300/udp")
                #expect(
                    try site.must("detach", "socket-filter:dns").contains(
                        "1 sockets keep their filter, which lets everything"))
                #expect(try site.pins().isEmpty)
                #expect(try sockets.echoed("10.9.0.1", port: 5300) == [10])
            }
        }
    }
}
