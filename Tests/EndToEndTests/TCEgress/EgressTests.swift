// SPDX-License-Identifier: Apache-2.0

import BPF
import CKernel
import Foundation
import Glibc
import SluiceAPI
import StageKit
import StageTesting
import Testing

@testable import SluiceCore

extension EndToEnd {
    /// The tc-egress stage on real packets, by tcx where the kernel has it and by clsact.
    @Suite struct EgressTests {
        private static let modes: [String?] = [nil, "clsact"]

        private static let classes = """
            lengths: driver, classes: [
              {name: web, protocol: tcp, destination-port: 80},
              {name: six, destination: "fd00:9::/64", protocol: udp},
              {name: udp, protocol: udp}]
            """

        /// TCP in trains of segments, UDP of both families and what is no IP: the rows add up to what the interface says.
        @Test(arguments: modes)
        func countsWhatTheInterfaceCounts(mode: String?) async throws {
            try await Lab.run { lab in
                let egress = try EgressSite(lab, mode: mode)
                try egress.apply(Self.classes)
                let before = try egress.accounts()
                let stream = try Stream(lab, to: Site.client, port: 80)
                stream.carry(30_000_000)
                #expect(stream.received == 30_000_000)
                for address in [Site.client, EgressSite.client6] {
                    let receiver = try SequenceReceiver(lab: lab, netns: "client", on: address, port: 7000)
                    let sender = try SequenceSender(lab: lab, to: address, port: 7000, rate: 2000, count: 1000)
                    #expect(try receiver.report(sent: sender.wait()).isPerfect)
                }
                let wire = try Wire(lab, "edge0")
                wire.send(Packet.bytes(.ethernet(type: 0x88cc), .payload(46)))
                wire.send(Packet.bytes(.ethernet(), .arp(sender: "10.9.0.1", target: "10.9.0.2")))
                let (sent, passed) = try egress.accounts(since: before)
                #expect(passed == sent)
                let rows = try egress.table("classes")
                #expect(rows["web"]!["bytes"]! > 30_000_000)
                // There were trains: fewer packets than segments of the wire.
                #expect(rows["web"]!["packets"]! < 20_000, "\(rows["web"]!)")
                #expect(rows["six"]!["packets"] == 1000 && rows["udp"]!["packets"] == 1000, "\(rows)")
                #expect(rows["not-ip"]!["packets"] == 2)
            }
        }

        /// With each segment counted, the rows add up to what the qdisc counts, which reckons as a device that segments;
        /// and to what the interface says, once the kernel segments before it.
        @Test func countsEachSegmentAsTheWireHasIt() async throws {
            try await Lab.run { lab in
                let egress = try EgressSite(lab)
                try lab.check(["tc", "qdisc", "replace", "dev", "edge0", "root", "pfifo", "limit", "10000"])
                try egress.apply("classes: [{name: web, protocol: tcp}]")
                func queued() throws -> UInt64 {
                    let qdisc = try lab.check(["tc", "-s", "qdisc", "show", "dev", "edge0", "root"])
                    // "Sent 21000000 bytes 14000 pkt (dropped 0, ...".
                    let words = qdisc.split(whereSeparator: \.isWhitespace)
                    let place = try #require(words.firstIndex(of: "Sent"))
                    #expect(qdisc.contains("dropped 0"))
                    return try #require(UInt64(words[place + 1]))
                }
                let begin = try (accounts: egress.accounts(), queued: queued())
                let stream = try Stream(lab, to: Site.client, port: 80)
                stream.carry(20_000_000)
                let (sent, passed) = try egress.accounts(since: begin.accounts)
                #expect(try passed.bytes == queued() - begin.queued)
                #expect(passed.bytes > sent.bytes + 100_000)

                try lab.ip(["link set dev edge0 gso_max_segs 1"])
                let before = try egress.accounts()
                let other = try Stream(lab, to: Site.client, port: 81)
                other.carry(5_000_000)
                let after = try egress.accounts(since: before)
                #expect(after.passed == after.sent)
            }
        }

        /// More than a class may send, from two processors at once; what comes through in four seconds is its rate to a
        /// percent. Control traffic of the same class is not touched.
        @Test(arguments: modes)
        func policesToAPercent(mode: String?) async throws {
            try await Lab.run { lab in
                let egress = try EgressSite(lab, mode: mode)
                try egress.apply(
                    """
                    lengths: driver, control: [ntp],
                    classes: [{name: all, destination-port: 7001-7002, police: {rate: 4Mbit, burst: 50kB}}, {name: ntp}]
                    """)
                let before = try egress.accounts()
                let senders = try [7001, 7002].map { port in
                    try SequenceSender(lab: lab, to: Site.client, port: port, rate: 1000, size: 972)
                }
                let receiver = try SequenceReceiver(lab: lab, netns: "client", port: 123)
                let control = try SequenceSender(lab: lab, to: Site.client, port: 123, rate: 200)
                Thread.sleep(forTimeInterval: 1)
                func look() throws -> (time: ContinuousClock.Instant, bytes: UInt64) {
                    let start = ContinuousClock.now
                    let bytes = try egress.bytes(of: 0)
                    return (start + (ContinuousClock.now - start) / 2, bytes)
                }
                let first = try look()
                Thread.sleep(forTimeInterval: 4)
                let last = try look()
                let rate = Double(last.bytes - first.bytes) * 8 / ((last.time - first.time) / .seconds(1))
                let report = try receiver.report(sent: control.stop())
                for sender in senders { try sender.stop() }
                #expect(abs(rate / 4e6 - 1) < 0.01, "\(rate)")
                #expect(report.isPerfect && report.sent > 500, "\(report)")
                let (sent, passed) = try egress.accounts(since: before)
                #expect(passed == sent)
                let row = try #require(egress.table("classes")["all"])
                #expect(row["policed"]! > 1000 && row["policed-bytes"] == row["policed"]! * 1014, "\(row)")
                print("policed: \(rate / 1e6) Mbit/s of 4")
            }
        }

        /// By packets of a raw IP socket and by frames of a packet socket, with tags and without.
        @Test(arguments: modes)
        func aSpoofedSourceNeverLeaves(mode: String?) async throws {
            try await Lab.run { lab in
                let egress = try EgressSite(lab, mode: mode)
                try egress.apply(#"source-guard: [10.9.0.0/24, "fd00:9::/64"]"#)
                let before = try egress.accounts()
                let peer = try Wire(lab, "client0", netns: "client")
                let wire = try Wire(lab, "edge0")
                let sources: [IPAddress] = [
                    "10.8.0.1", "0.0.0.0", "255.255.255.255", "127.0.0.1", "fd00:8::1", "::1", "::",
                ]
                var spoofed: UInt64 = 0
                for _ in 0..<50 {
                    for source in sources {
                        let network: PacketLayer =
                            source.isIPv4
                            ? .ipv4(from: source, to: IPAddress(Site.client)!)
                            : .ipv6(from: source, to: IPAddress(EgressSite.client6)!)
                        for tags in [[], [PacketLayer.vlan(7)], [.vlan(7, tag: 0x88a8), .vlan(8)]] {
                            wire.send(
                                Packet.bytes([.ethernet()] + tags + [network, .udp(from: 5, to: 6), .payload(20)]))
                            spoofed += 1
                        }
                    }
                }
                spoofed += try Self.sendRaw(from: "10.8.0.1", count: 100)
                // What is ours leaves, by the same ways.
                _ = try Self.sendRaw(from: "10.9.0.1", count: 10)
                wire.send(
                    Packet.bytes(
                        .ethernet(), .ipv4(from: "10.9.0.77", to: IPAddress(Site.client)!), .udp(from: 5, to: 6),
                        .payload(20)))
                let receiver = try SequenceReceiver(lab: lab, netns: "client", on: EgressSite.client6, port: 7000)
                let sender = try SequenceSender(lab: lab, to: EgressSite.client6, port: 7000, count: 100)
                #expect(try receiver.report(sent: sender.wait()).isPerfect)
                let frames = peer.frames()
                let (sent, passed) = try egress.accounts(since: before)
                #expect(try egress.table("reasons")["spoofed"]!["packets"] == spoofed)
                #expect(passed == sent)
                let seen = frames.compactMap(Self.source)
                #expect(
                    seen.count == 111 && seen.allSatisfy { $0.hasPrefix("10.9.0.") || $0.hasPrefix("fd00:9::") },
                    "\(Set(seen))")
            }
        }

        /// The address that a TCP or UDP packet comes from, or that it has tags.
        private static func source(_ frame: [UInt8]) -> String? {
            switch (frame[12], frame[13]) {
            case (0x08, 0x00) where [6, 17].contains(frame[23]): IPAddress(bytes: Array(frame[26..<30])).description
            case (0x86, 0xdd) where [6, 17].contains(frame[20]): IPAddress(bytes: Array(frame[22..<38])).description
            case (0x81, 0x00), (0x88, 0xa8): "tagged"
            default: nil
            }
        }

        /// Sends packets whose IP header a process has written (`IPPROTO_RAW`).
        private static func sendRaw(from source: IPAddress, count: Int) throws -> UInt64 {
            let descriptor = socket(AF_INET, Int32(SOCK_RAW.rawValue), Int32(IPPROTO_RAW))
            defer { close(descriptor) }
            let packet = Array(
                Packet.bytes(
                    .ethernet(), .ipv4(from: source, to: IPAddress(Site.client)!), .udp(from: 5, to: 6), .payload(20)
                ).dropFirst(14))
            for _ in 0..<count {
                // Whoever is refused is told so: EPERM, or ENOBUFS of what the qdisc's place dropped.
                _ = withAddress(Site.client, 0) { sendto(descriptor, packet, packet.count, 0, $0, $1) }
            }
            return UInt64(count)
        }

        /// A block with its reason, an allowed host in it, and a change of both in mid-traffic that loses nothing else.
        @Test(arguments: modes)
        func blocksWithAReasonAndChangesInMidTraffic(mode: String?) async throws {
            try await Lab.run { lab in
                let egress = try EgressSite(lab, mode: mode)
                try lab.ip(
                    ["addr add 10.9.0.3/24 dev client0", "addr add 10.9.0.4/24 dev client0"], netns: "client")
                try lab.ip(
                    ["3", "4"].map { "neigh replace 10.9.0.\($0) lladdr 02:00:00:00:00:02 dev edge0 nud permanent" })
                let block = "block: [{prefix: 10.9.0.2/31, reason: abuse}]"
                func passes(_ address: String) throws -> UInt64 {
                    let receiver = try SequenceReceiver(lab: lab, netns: "client", on: address, port: 7100)
                    let sender = try SequenceSender(lab: lab, to: address, port: 7100, rate: 2000, count: 50)
                    // A datagram that is dropped here is told to who sent it, and not counted.
                    Thread.sleep(forTimeInterval: 0.2)
                    return try receiver.report(sent: sender.stop()).received
                }
                try egress.apply(block)
                #expect(try passes("10.9.0.3") == 0)
                #expect(try passes("10.9.0.4") == 50)
                #expect(try egress.table("blocks")["abuse"]!["packets"]! > 0)
                try egress.apply("\(block), allow: [10.9.0.3]")
                #expect(try passes("10.9.0.3") == 50)
                #expect(try passes("10.9.0.2") == 0)
                #expect(try egress.table("reasons")["allowed"]!["packets"] == 50)

                let receiver = try SequenceReceiver(lab: lab, netns: "client", on: "10.9.0.4", port: 7200)
                let sender = try SequenceSender(lab: lab, to: "10.9.0.4", port: 7200, rate: 5000)
                let first = try #require(try egress.site.status(EgressSite.hook).live)
                for round in 0..<10 {
                    try egress.apply(
                        "\(block), classes: [{name: c\(round), destination-port: 7200, police: {rate: 1Gbit}, set: {dscp: \(round)}}]"
                    )
                    if round % 3 == 2 { try egress.site.must("rollback", EgressSite.hook) }
                }
                let report = try receiver.report(sent: sender.stop())
                #expect(report.isPerfect && report.sent > 1000, "\(report)")
                #expect(try egress.site.status(EgressSite.hook).live != first)
                #expect(try egress.site.status(EgressSite.hook).rootFallbacks == 0)
            }
        }

        /// What the peer sees of a rewritten connection; and a mark, which the next stage sees.
        @Test(arguments: modes)
        func marksAndRewrites(mode: String?) async throws {
            try await Lab.run { lab in
                let egress = try EgressSite(lab, mode: mode)
                let second = """
                          - name: after
                            plugin: tc-egress
                            config: {classes: [{name: marked, mark: 0x20/0xf0}]}
                    """
                try egress.apply(
                    "classes: [{name: web, protocol: tcp, set: {dscp: af21, mark: 0x25/0xff, mss: 1000}}]", more: second
                )
                let before = try egress.accounts()
                let peer = try Wire(lab, "client0", netns: "client")
                for address in [Site.client, EgressSite.client6] {
                    let stream = try Stream(lab, to: address, port: 80)
                    stream.carry(2_000_000)
                    // A wrong checksum would have ended it.
                    #expect(stream.received == 2_000_000)
                }
                let frames = peer.frames().filter { Self.source($0) != nil }
                #expect(frames.count > 50)
                var segments = 0
                for frame in frames {
                    let isIPv4 = frame[12] == 8
                    let service = isIPv4 ? frame[15] : frame[14] << 4 | frame[15] >> 4
                    #expect(service >> 2 == 18)
                    let tcp = isIPv4 ? 34 : 54
                    // The size that the SYN asks for is its first option.
                    guard frame[tcp + 13] & 2 != 0 else { continue }
                    segments += 1
                    #expect(Array(frame[(tcp + 20)..<(tcp + 24)]) == [2, 4, 1000 >> 8, 1000 & 0xff])
                }
                #expect(segments == 2)
                let row = try #require(egress.table("classes")["web"])
                #expect(try egress.table("classes", of: "after")["marked"]!["packets"] == row["packets"])
                #expect(row["rewritten"] == row["packets"])
                let (sent, passed) = try egress.accounts(since: before)
                #expect(passed.packets == sent.packets)
            }
        }

        /// A class by its cgroup, which is not there yet, comes, goes, and comes again as another.
        @Test func knowsACgroupThatComesAndGoes() async throws {
            try await Lab.run { lab in
                let mount = try #require(Cgroups.mount())
                let name = "sluice-egress-\(getpid())"
                let folder = "\(mount)/\(name)"
                defer { for path in ["\(folder)/inner", folder] { rmdir(path) } }
                let egress = try EgressSite(lab)
                let said = try egress.apply("classes: [{name: ours, cgroup: /\(name)}]")
                #expect(said.contains("looks for packets of cgroup /\(name), which is not there (yet)"), "\(said)")
                func send() throws {
                    try lab.check(
                        [
                            "bash", "-c",
                            "echo $$ > \(folder)/inner/cgroup.procs; exec 3> /dev/udp/\(Site.client)/7000; "
                                + "for i in {1..20}; do echo $i >&3; done 2> /dev/null; true",
                        ])
                }
                func ours() throws -> UInt64 { try egress.table("classes")["ours"]!["packets"]! }
                var expected: UInt64 = 0
                for _ in 0..<2 {
                    mkdir(folder, 0o755)
                    mkdir("\(folder)/inner", 0o755)
                    try lab.until("the manager has seen the cgroup") {
                        try !egress.site.status(EgressSite.hook).notes.contains { $0.contains("which is not there") }
                            && egress.site.daemon!.errors.split(separator: "\n").last {
                                $0.contains("cgroup /\(name)")
                            }?
                            .contains("is there") == true
                    }
                    let before = try ours()
                    // Nobody listens: a datagram may be refused by the answer to an earlier one.
                    try send()
                    #expect(try ours() > before)
                    expected = try ours()
                    rmdir("\(folder)/inner")
                    #expect(rmdir(folder) == 0, "\(errno)")
                    try lab.until("the manager has missed the cgroup") {
                        egress.site.daemon!.errors.split(separator: "\n").last { $0.contains("cgroup /\(name)") }?
                            .contains("has gone") == true
                    }
                }
                // Who is in no such cgroup is of no such class.
                let sender = try SequenceSender(lab: lab, to: Site.client, port: 7000, count: 20)
                _ = try? sender.wait()
                #expect(try ours() == expected)
            }
        }

        /// Of 10,000 prefixes one that is wrong is named, and all stays as it was.
        @Test func takesTenThousandPrefixesOrNone() async throws {
            try await Lab.run { lab in
                let egress = try EgressSite(lab)
                func block(_ last: String) -> String {
                    let prefixes = (0..<9_999).map { "\(20 + $0 / 5000).\($0 / 250 % 20).\($0 % 250).0/24" }
                    return "block: [{prefix: [\((prefixes + [last]).joined(separator: ", "))], reason: bad}]"
                }
                try egress.apply(block("10.9.0.2"))
                let before = try egress.site.snapshot()
                let wrong = [
                    ("10.9.0.3/33", #"block[0].prefix[9999]: "10.9.0.3/33": a prefix length of IPv4 is 0 to 32"#),
                    ("20.0.0.0/24", "20.0.0.0/24 is there already, with the reason \"bad\""),
                    ("here", #""here": expected a prefix"#),
                ]
                for (last, message) in wrong {
                    let refused = try egress.site.ctl("apply", "-f", "-", input: EgressSite.spec(block(last)))
                    #expect(!refused.succeeded && refused.errors.contains(message), "\(refused.errors.prefix(500))")
                    #expect(try egress.site.snapshot() == before)
                }
                let sender = try SequenceSender(lab: lab, to: Site.client, port: 7000, count: 20)
                _ = try sender.wait()
                #expect(try egress.table("blocks")["bad"]!["packets"] == 20)
                try egress.site.must("detach", EgressSite.hook)
                #expect(try egress.site.pins().isEmpty)
            }
        }

        @Test func tellsThatThereIsNoFQAndWhatIsSampled() async throws {
            try await Lab.run { lab in
                let egress = try EgressSite(lab)
                let note =
                    "stage \"egress\" paces packets by their departure times, which the qdisc fq keeps, and edge0 has "
                    + "noqueue: packets leave at once (tc qdisc replace dev edge0 root fq)"
                let said = try egress.apply("classes: [{name: all, pace: 1Gbit, sample: 100/s}]")
                #expect(said.contains(note), "\(said)")
                #expect(try egress.site.status(EgressSite.hook).notes.contains(note))
                #expect(try egress.site.ctl("doctor").output.contains(note))
                let sender = try SequenceSender(lab: lab, to: EgressSite.client6, port: 7000, rate: 500)
                let receiver = try SequenceReceiver(lab: lab, netns: "client", on: EgressSite.client6, port: 7000)
                var top = ""
                try lab.until("samples are shown") {
                    top = try egress.site.ctl("stats", EgressSite.hook, "--stage", "egress", "--top", "destinations")
                        .output
                    return top.contains(EgressSite.client6)
                }
                let refused = try egress.site.ctl("stats", EgressSite.hook, "--stage", "egress", "--top", "nonsense")
                #expect(refused.errors.contains("expected one of sources, destinations"), "\(refused)")
                try sender.stop()
                _ = try receiver.report(sent: 0)
            }
        }

        /// Whether this kernel has the qdisc that keeps departure times.
        private static let hasFQ =
            Lab.isAvailable
            && (try? Lab.runBlocking { lab -> String in
                try lab.addVeth("fq0", "fq1")
                return try lab.check(["tc", "qdisc", "replace", "dev", "fq0", "root", "fq"])
            }) != nil

        @Test(.enabled(if: hasFQ, "the kernel has no sch_fq"), arguments: modes)
        func pacesWithFQ(mode: String?) async throws {
            try await Lab.run { lab in
                let egress = try EgressSite(lab, mode: mode)
                try lab.check(["tc", "qdisc", "replace", "dev", "edge0", "root", "fq", "flow_limit", "1000"])
                let said = try egress.apply("lengths: driver, classes: [{name: all, protocol: udp, pace: 4Mbit}]")
                #expect(!said.contains("departure times"), "\(said)")
                // Twice as much; its socket's buffer holds it back.
                let sender = try SequenceSender(lab: lab, to: Site.client, port: 7000, rate: 1000, size: 972)
                let receiver = try SequenceReceiver(lab: lab, netns: "client", port: 7000)
                Thread.sleep(forTimeInterval: 1)
                func look() throws -> (time: ContinuousClock.Instant, bytes: UInt64) {
                    let start = ContinuousClock.now
                    let bytes = try egress.sent().bytes
                    return (start + (ContinuousClock.now - start) / 2, bytes)
                }
                let first = try look()
                Thread.sleep(forTimeInterval: 5)
                let last = try look()
                let rate = Double(last.bytes - first.bytes) * 8 / ((last.time - first.time) / .seconds(1))
                try sender.stop()
                _ = try receiver.report(sent: 0)
                #expect(abs(rate / 4e6 - 1) < 0.03, "\(rate)")
                print("paced: \(rate / 1e6) Mbit/s of 4")
            }
        }
    }
}
