// SPDX-License-Identifier: Apache-2.0

import Glibc
import SluiceAPI
import StageTesting
import Testing

extension EndToEnd {
    /// A policy on a real service in its own cgroup.
    @Suite struct CgroupPolicyTests {
        private static let calls = [
            "cgroup-connect4", "cgroup-connect6", "cgroup-sendmsg4", "cgroup-sendmsg6", "cgroup-bind4", "cgroup-bind6",
        ]

        /// Nothing that the client's address is denied, but one port of it.
        private static func denyingWeb(_ mode: String) -> String {
            """
            mode: \(mode)
            connect:
              default: allow
              rules:
                - {name: no-web, to: [10.9.0.2/32, fd00:9::2/128], port: 8000, protocol: tcp, action: deny}
            """
        }

        @Test func aPolicyIsTriedThenEnforcedAndTakenBack() async throws {
            try await PolicySite.run { policy in
                try policy.serve("hello", port: 8000)
                try policy.apply(Self.calls, Self.denyingWeb("audit"))
                #expect(try policy.curl("http://10.9.0.2:8000/").answer == "hello")
                #expect(try policy.curl("http://[fd00:9::2]:8000/").answer == "hello")
                let event = try policy.report(
                    "audit: would have denied connect to 10.9.0.2:8000 (tcp) by rule \"no-web\"")
                #expect(event.message.contains("\"curl\" (uid 0"))
                #expect(event.hook == policy.hook("cgroup-connect4"))
                try policy.report(
                    "audit: would have denied connect to [fd00:9::2]:8000 (tcp) by rule \"no-web\"", "curl")

                try policy.apply(Self.calls, Self.denyingWeb("enforce"))
                for url in ["http://10.9.0.2:8000/", "http://[fd00:9::2]:8000/"] {
                    let (answer, status) = try policy.curl(url)
                    #expect(answer == "" && status == .exited(7), "\(url)")
                }
                for address in ["10.9.0.2", "fd00:9::2", "::ffff:10.9.0.2"] {
                    let outcome = try policy.call("connect", "tcp", address, "8000")
                    #expect(outcome == EPERM, "\(address)")
                    // No packet was waited for.
                    #expect(outcome.milliseconds < 1000 * Double(Lab.patience))
                    #expect(try policy.call("connect", "tcp", address, "8001") == ECONNREFUSED, "\(address)")
                }
                let denied = try policy.report("denied connect to 10.9.0.2:8000 (tcp) by rule \"no-web\"", "python3")
                #expect(!denied.message.contains("audit"))
                // Over IPv6's hook, but an address of IPv4.
                try policy.report(on: "cgroup-connect6", "denied connect to 10.9.0.2:8000", "python3")
                #expect(try policy.count("cgroup-connect4", "no-web") == 2)
                #expect(try policy.count("cgroup-connect4", "default") == 1)

                for kind in ["cgroup-connect4", "cgroup-connect6"] {
                    try policy.site.must("rollback", policy.hook(kind))
                }
                #expect(try policy.curl("http://10.9.0.2:8000/").answer == "hello")
                #expect(try policy.curl("http://[fd00:9::2]:8000/").answer == "hello")
            }
        }

        @Test func whatIsDeniedCannotBeReachedByAnotherName() async throws {
            try await PolicySite.run { policy in
                try policy.apply(
                    Self.calls,
                    """
                    mode: enforce
                    connect:
                      default: allow
                      rules: [{name: self, to: [127.0.0.0/8, "::1"], action: deny}]
                    """)
                // Zeros are the machine itself, of both families; a socket of IPv6 takes addresses of IPv4.
                for address in ["127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0"] {
                    #expect(try policy.call("connect", "tcp", address, "9") == EPERM, "\(address)")
                    #expect(try policy.call("connect", "udp", address, "9") == EPERM, "\(address)")
                    #expect(try policy.call("send", "udp", address, "9") == EPERM, "\(address)")
                    #expect(try policy.call("connect", "mptcp", address, "9") == EPERM, "\(address)")
                }
                #expect(try policy.call("connect", "udp", "10.9.0.2", "9") == 0)
                #expect(try policy.call("send", "udp", "fd00:9::2", "9") == 0)
            }
        }

        @Test func bindingIsDenied() async throws {
            try await PolicySite.run { policy in
                try policy.apply(
                    Self.calls,
                    """
                    mode: enforce
                    bind:
                      default: deny
                      rules:
                        - {name: web, port: 8080-8081, protocol: tcp, action: allow}
                        - {name: chosen, port: 0, action: allow}
                        - {name: local, address: [127.0.0.0/8, "::1"], action: allow}
                    """)
                #expect(try policy.call("bind", "tcp", "10.9.0.1", "8080") == 0)
                #expect(try policy.call("bind", "tcp", "fd00:9::1", "8081") == 0)
                #expect(try policy.call("bind", "tcp", "0.0.0.0", "8082") == EPERM)
                #expect(try policy.call("bind", "udp", "::", "8080") == EPERM)
                #expect(try policy.call("bind", "udp", "127.0.0.1", "53") == 0)
                #expect(try policy.call("bind", "udp", "::ffff:127.0.0.1", "53") == 0)
                #expect(try policy.call("bind", "udp", "0.0.0.0", "0") == 0)
                // Who connects without a bind is not asked.
                #expect(try policy.call("connect", "udp", "10.9.0.2", "9") == 0)
                try policy.report("denied bind 0.0.0.0:8082 (tcp) by default", "python3")
            }
        }

        @Test func sendingHasRulesOfItsOwn() async throws {
            try await PolicySite.run { policy in
                try policy.apply(
                    Self.calls,
                    """
                    mode: enforce
                    connect: {default: allow}
                    send:
                      default: deny
                      rules: [{name: dns, to: [10.9.0.0/24, fd00:9::/64], port: 53, protocol: udp, action: allow}]
                    """)
                for address in ["10.9.0.2", "fd00:9::2", "::ffff:10.9.0.2"] {
                    #expect(try policy.call("send", "udp", address, "53") == 0, "\(address)")
                    #expect(try policy.call("send", "udp", address, "54") == EPERM, "\(address)")
                    #expect(try policy.call("connect", "udp", address, "54") == 0, "\(address)")
                }
                try policy.report("denied send to [fd00:9::2]:54 (udp) by default", "python3")
            }
        }

        @Test func addressesStandForOthers() async throws {
            try await PolicySite.run { policy in
                try policy.serve("backend", port: 8080, netns: nil)
                try policy.apply(
                    Self.calls,
                    """
                    mode: enforce
                    connect:
                      default: deny
                      rules: [{to: [192.0.2.10, "2001:db8::10"], action: allow}]
                    rewrite:
                      - {from: "192.0.2.10:80", protocol: tcp, to: "127.0.0.1:8080", name: web}
                      - {from: "[2001:db8::10]:80", protocol: tcp, to: "[::1]:8080", name: web6}
                      - {from: "192.0.2.10:53", to: "127.0.0.1:5353"}
                    """)
                #expect(try policy.curl("http://192.0.2.10/").answer == "backend")
                #expect(try policy.curl("http://[2001:db8::10]/").answer == "backend")
                #expect(try policy.call("connect", "tcp", "192.0.2.10", "80").peer == "127.0.0.1,8080")
                #expect(try policy.call("connect", "tcp", "2001:db8::10", "80").peer == "::1,8080")
                #expect(try policy.call("connect", "tcp", "::ffff:192.0.2.10", "80").peer == "::ffff:127.0.0.1,8080")
                #expect(try policy.call("connect", "udp", "192.0.2.10", "53").peer == "127.0.0.1,5353")
                // The backend itself is no address that it may ask for.
                #expect(try policy.call("connect", "tcp", "127.0.0.1", "8080") == EPERM)
                #expect(try policy.count("cgroup-connect4", "web", table: "rewrites") == 2)
                #expect(try policy.count("cgroup-connect6", "web", table: "rewrites") == 1)
                #expect(try policy.count("cgroup-connect6", "web6", table: "rewrites") == 2)
                // Without a connection too.
                let receiver = try DatagramCheck(port: 5353)
                #expect(try policy.call("send", "udp", "192.0.2.10", "53") == 0)
                #expect(receiver.receives(100))
            }
        }
    }
}

/// A UDP socket that waits for one datagram.
final class DatagramCheck {
    private let descriptor: Int32

    init(port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        let bound = withUnsafeBytes(of: &address) {
            bind(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
        guard bound == 0 else { throw LabError("bind port \(port): errno \(errno)") }
        var patience = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Whether one of so many bytes comes.
    func receives(_ count: Int) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 2048)
        return recv(descriptor, &buffer, buffer.count, 0) == count
    }
}
