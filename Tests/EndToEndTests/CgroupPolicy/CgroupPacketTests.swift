// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import SluiceAPI
import StageTesting
import Testing

extension EndToEnd {
    /// What a policy does with packets, sockets and connections.
    @Suite struct CgroupPacketTests {
        @Test func packetsAreFilteredAndTheirBytesCounted() async throws {
            try await PolicySite.run { policy in
                try policy.serve("hello", port: 8000)
                try policy.apply(
                    ["cgroup-skb-ingress", "cgroup-skb-egress"],
                    """
                    mode: enforce
                    egress:
                      default: allow
                      rules:
                        - {name: counted, to: 10.9.0.2, port: 4000, protocol: udp, action: allow}
                        - {name: closed, to: [10.9.0.2, fd00:9::2], port: 4001, protocol: udp, action: deny}
                    ingress:
                      default: allow
                      rules: [{name: no-web, from: 10.9.0.2, port: 8000, protocol: tcp, action: deny}]
                    """)
                for _ in 0..<3 { #expect(try policy.call("send", "udp", "10.9.0.2", "4000") == 0) }
                #expect(try policy.count("cgroup-skb-egress", "counted", "packets") == 3)
                // Headers of IPv4 and UDP, and what is sent.
                #expect(try policy.count("cgroup-skb-egress", "counted", "bytes") == 3 * (20 + 8 + 100))
                #expect(try policy.call("send", "udp", "10.9.0.2", "4001") == EPERM)
                #expect(try policy.call("send", "udp", "fd00:9::2", "4001") == EPERM)
                #expect(try policy.count("cgroup-skb-egress", "closed", "bytes") == 20 + 8 + 100 + 40 + 8 + 100)
                let event = try policy.report(
                    on: "cgroup-skb-egress", "denied a packet from port", "to 10.9.0.2:4001 (udp) by rule \"closed\"")
                #expect(event.message.contains("a socket of uid 0"))
                // The answer is what does not come in, so that nothing is ever said.
                let curl = try policy.execute([
                    "curl", "--silent", "--noproxy", "*", "--max-time", "1", "http://10.9.0.2:8000/",
                ])
                #expect(curl.status == .exited(28))
                #expect(try policy.count("cgroup-skb-ingress", "no-web", "packets") > 0)
                #expect(try policy.curl("http://[fd00:9::2]:8000/").answer == "hello")
                try policy.report(on: "cgroup-skb-ingress", "denied a packet from 10.9.0.2:8000", "rule \"no-web\"")
            }
        }

        @Test func bytesOfAStreamAreThoseOfItsPackets() async throws {
            try await PolicySite.run { policy in
                try policy.serve("hello", port: 8000)
                // One packet each, so that the wire's count is the hook's.
                for arguments in [["tso", "off"], ["gso", "off"], ["gro", "off"]] {
                    try policy.lab.check(["ethtool", "-K", "edge0"] + arguments)
                }
                try policy.apply(
                    ["cgroup-skb-ingress", "cgroup-skb-egress"],
                    """
                    mode: enforce
                    egress: {default: allow, rules: [{name: web, port: 8000, protocol: tcp, action: allow}]}
                    ingress: {default: allow, rules: [{name: web, port: 8000, protocol: tcp, action: allow}]}
                    """)
                // Nobody else speaks IPv4 in this namespace.
                let before = try Self.octets(policy.lab)
                #expect(try policy.curl("http://10.9.0.2:8000/").answer == "hello")
                usleep(200_000)
                let after = try Self.octets(policy.lab)
                #expect(try policy.count("cgroup-skb-egress", "web", "bytes") == after.out - before.out)
                #expect(try policy.count("cgroup-skb-ingress", "web", "bytes") == after.in - before.in)
                // SYN, ACK, the request, FIN.
                #expect(try policy.count("cgroup-skb-egress", "web", "packets") >= 4)
            }
        }

        /// What the kernel itself has counted in the lab's namespace: bytes of IPv4 packets.
        private static func octets(_ lab: Lab) throws -> (in: UInt64, out: UInt64) {
            let lines = try lab.check(["cat", "/proc/self/net/netstat"]).split(separator: "\n")
            let rows = lines.filter { $0.hasPrefix("IpExt:") }.map { $0.split(separator: " ").map(String.init) }
            guard rows.count == 2, let inwards = rows[0].firstIndex(of: "InOctets"),
                let outwards = rows[0].firstIndex(of: "OutOctets"), let bytesIn = UInt64(rows[1][inwards]),
                let bytesOut = UInt64(rows[1][outwards])
            else { throw LabError("no octets: \(rows)") }
            return (bytesIn, bytesOut)
        }

        @Test func socketsAreDeniedByWhatTheyAre() async throws {
            try await PolicySite.run { policy in
                // Else the kernel itself refuses the second, before it asks.
                try policy.lab.check(["sysctl", "-q", "net.ipv4.ping_group_range=0 2147483647"])
                try policy.apply(
                    ["cgroup-sock-create"],
                    "mode: enforce\nsock-create: {deny: [raw, ping, mptcp], mark: 7, priority: 3}")
                #expect(try policy.call("socket", "raw", "127.0.0.1", "0") == EPERM)
                #expect(try policy.call("socket", "ping", "127.0.0.1", "0") == EPERM)
                #expect(try policy.call("socket", "mptcp", "127.0.0.1", "0") == EPERM)
                #expect(try policy.call("mark", "tcp", "127.0.0.1", "0").peer == "7")
                #expect(try policy.call("mark", "udp", "::1", "0").peer == "7")
                try policy.report("denied a socket (ipv4 raw, icmp) by rule \"raw\"", "python3")
                #expect(try policy.count("cgroup-sock-create", "raw") == 1)

                try policy.apply(["cgroup-sock-create"], "mode: audit\nsock-create: {deny: [raw]}")
                #expect(try policy.call("socket", "raw", "127.0.0.1", "0") == 0)
                #expect(try policy.call("mark", "tcp", "127.0.0.1", "0").peer == "0")
                try policy.report("audit: would have denied a socket (ipv4 raw, icmp)")
            }
        }

        @Test func connectionsHaveTheOptionsThatAreAskedFor() async throws {
            try await PolicySite.run { policy in
                try policy.serve("hello", port: 8000)
                try policy.apply(
                    ["sockops"],
                    """
                    mode: enforce
                    sockops:
                      initial-window: 23
                      receive-window: 44
                      congestion: reno
                      keepalive: {idle: 61, interval: 11, count: 6}
                      user-timeout: 30000
                      tos: 184
                      priority: 5
                      no-delay: true
                    """)
                let process = try policy.spawn(["python3", "-I", "-c", Self.connection, "10.9.0.2", "8000"])
                #expect(try process.wait() == .exited(0), "\(process.errors)")
                #expect(process.output == "1 61 11 6 30000 184 5 1 reno\n")
                let six = try policy.spawn(["python3", "-I", "-c", Self.connection, "fd00:9::2", "8000"])
                #expect(try six.wait() == .exited(0), "\(six.errors)")
                #expect(six.output == "1 61 11 6 30000 184 5 1 reno\n")
                for option in ["keepalive", "congestion", "receive-window", "user-timeout"] {
                    #expect(try policy.count("sockops", option, "set", table: "options") == 2, "\(option)")
                    #expect(try policy.count("sockops", option, "refused", table: "options") == 0, "\(option)")
                }
                // A connection that is held, and what ss says of it: its window in segments.
                let held = try policy.spawn(["python3", "-I", "-c", Self.held, "10.9.0.2", "8000"])
                try policy.lab.until("it is connected: \(held.errors)") { held.output.contains("connected") }
                let ss = try policy.lab.check(["ss", "-tinH", "dst", "10.9.0.2:8000"])
                #expect(ss.contains("cwnd:23") && ss.contains("reno"), "\(ss)")
            }
        }

        private static let connection = """
            import socket, sys
            s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)
            s.connect((sys.argv[1], int(sys.argv[2])))
            tos = (socket.IPPROTO_IPV6, 67) if ':' in sys.argv[1] else (socket.IPPROTO_IP, socket.IP_TOS)
            names = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE), (6, 4), (6, 5), (6, 6), (6, 18), tos,
                     (socket.SOL_SOCKET, socket.SO_PRIORITY), (6, 1)]
            print(*[s.getsockopt(*name) for name in names], s.getsockopt(6, 13, 16).split(b'\\0')[0].decode())
            """

        private static let held = """
            import socket, sys, time
            s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
            print('connected', flush=True)
            time.sleep(60)
            """
    }
}
