// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import StageKit
import StageTesting
import TCEgress
import Testing

@Suite("What it is for", .enabled(if: mayLoad, "requires root"))
struct PurposeTests {
    @Test func guardsSources() throws {
        let stage = try StageUnderTest.egress(
            Configuration { $0.sourceGuard = [try! IPPrefix("192.0.2.0/24"), try! IPPrefix("2001:db8::/48")] })
        let mine = [
            datagram(), datagram(from: "2001:db8::9", to: "2001:db8:1::1"), datagram(from: "fe80::1", to: "ff02::1"),
        ]
        for frame in mine { #expect(try stage.run(frame).verdict == .next) }
        let others = [
            datagram(from: "192.0.3.1"), datagram(from: "0.0.0.0"), datagram(from: "127.0.0.1"),
            datagram(from: "2001:db9::1", to: "2001:db8:1::1"), datagram(from: "::", to: "ff02::1"),
            datagram(from: "::ffff:192.0.2.1", to: "2001:db8:1::1"),
            Packet.bytes(
                .ethernet(), .ipv4(from: "192.0.2.1", to: "198.51.100.1", totalLength: 1500), .udp(from: 1, to: 2),
                .payload(18)),
        ]
        for frame in others { #expect(try stage.run(frame).verdict == .drop, "\(Bytes(frame).hex)") }
        #expect(try stage.counter("reasons", "spoofed") == 6)
        #expect(try stage.counter("reasons", "malformed") == 1)
        #expect(try stage.failingSamples().isEmpty)
    }

    /// A sender of raw frames may say that its IP is something else; the link's own type counts.
    @Test func isNotFooledByTags() throws {
        let stage = try StageUnderTest.egress(Configuration { $0.sourceGuard = [try! IPPrefix("192.0.2.0/24")] })
        for tags in [[PacketLayer.vlan(5)], [.vlan(5, tag: 0x88a8), .vlan(6)]] {
            let frame = Packet.bytes(
                [.ethernet()] + tags + [.ipv4(from: "10.0.0.1", to: "198.51.100.1"), .udp(from: 1, to: 2)])
            #expect(try stage.run(frame).verdict == .drop)
        }
    }

    @Test func blocksWithAReason() throws {
        let stage = try StageUnderTest.egress(
            Configuration {
                $0.block = [
                    .init([try! IPPrefix("10.0.0.0/8")], reason: "bogon"),
                    .init([try! IPPrefix("10.1.0.0/16"), try! IPPrefix("2001:db8:bad::/48")], reason: "abuse"),
                ]
                $0.allow = [try! IPPrefix("10.1.2.0/24")]
            })
        let verdicts: [(IPAddress, Verdict)] = [
            ("10.2.0.1", .drop), ("10.1.0.1", .drop), ("10.1.2.3", .next), ("11.0.0.1", .next),
        ]
        for (address, verdict) in verdicts { #expect(try stage.run(datagram(to: address)).verdict == verdict) }
        #expect(try stage.run(datagram(from: "2001:db8::1", to: "2001:db8:bad::1")).verdict == .drop)
        #expect(try stage.counter("blocks", "bogon") == 1)
        #expect(try stage.counter("blocks", "abuse") == 2)
        #expect(try stage.failingSamples().isEmpty)
    }

    /// 10,000 prefixes with 100 reasons, each asked for its first address and the one behind its last.
    @Test func takesTenThousandPrefixes() throws {
        var random = SeededGenerator(seed: 7)
        var seen: Set<IPPrefix> = []
        while seen.count < 10_000 {
            let isIPv4 = seen.count % 2 == 0
            let bytes: [UInt8] = [isIPv4 ? 20 : 0x20] + (0..<(isIPv4 ? 3 : 15)).map { _ in random.number(0...255) }
            let lengths = isIPv4 ? Array(12...32) : [32, 40, 48, 56, 64, 128]
            seen.insert(IPPrefix(IPAddress(bytes: bytes), length: random.pick(lengths)))
        }
        let prefixes = seen.sorted { $0.description < $1.description }
        let configuration = Configuration {
            $0.block = (0..<100).map { part in
                .init(Array(prefixes[(part * 100)..<(part * 100 + 100)]), reason: "reason \(part)")
            }
        }
        let stage = try StageUnderTest.egress(configuration)
        let reference = Reference(configuration: configuration, isIngress: false)
        var blocks: [String: UInt64] = [:]
        for index in stride(from: 0, to: prefixes.count, by: 400) {
            let prefix = prefixes[index]
            let own: IPAddress = prefix.isIPv4 ? "192.0.2.1" : "2001:db8::1"
            for address in [prefix.address, prefix.next] {
                let frame = datagram(from: own, to: address)
                let expected = reference.judge(frame, mark: 0)
                #expect(try stage.run(frame).verdict == (expected.reason.isDrop ? .drop : .next), "\(address)")
                if let block = expected.block { blocks[block, default: 0] += 1 }
            }
        }
        for reason in configuration.blockReasons {
            #expect(try stage.counter("blocks", reason) == blocks[reason] ?? 0, "\(reason)")
        }
    }

    @Test func knowsCgroups() throws {
        let stage = try StageUnderTest.egress(
            Configuration(
                TrafficClass("none") { $0.cgroups = ["/not-there"] }, TrafficClass("own") { $0.cgroups = ["/own"] }))
        // A test run's packets are of the cgroup of who runs it.
        let own = try #require(Self.cgroup())
        try stage.run(datagram())
        #expect(try stage.row("other")[0] == 1)
        let index = UInt32(stage.plan.cgroups.firstIndex { $0.cgroup == "/own" }!)
        var value = Bytes(number: own.id)
        value.append(UInt32(own.level))
        value.append(UInt32(0))
        try stage.set(in: "cgroups", key: Bytes(number: index).raw, value: value.raw)
        try stage.run(datagram())
        #expect(try stage.row("own")[0] == 1)
    }

    /// This process's cgroup of version 2.
    private static func cgroup() -> (id: UInt64, level: Int)? {
        guard let mounts = try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8),
            let line = mounts.split(separator: "\n").first(where: { $0.contains(" - cgroup2 ") }),
            let own = try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8),
            let path = own.split(separator: "\n").first(where: { $0.hasPrefix("0::") })?.dropFirst(3)
        else { return nil }
        var info = stat()
        guard stat("\(line.split(separator: " ")[4])\(path)", &info) == 0 else { return nil }
        return (UInt64(info.st_ino), path.split(separator: "/").count)
    }

    @Test func samplesAClass() throws {
        let configuration = Configuration(
            TrafficClass("a", sample: SampleRate(perSecond: 10)) { $0.destinationPort = Ports(53) })
        let stage = try StageUnderTest.egress(configuration)
        try stage.run(datagram(port: 53), repeat: 1000)
        try stage.run(datagram(port: 54), repeat: 1000)
        Thread.sleep(forTimeInterval: 0.15)
        try stage.run(datagram(port: 53), repeat: 1000)
        let records = try stage.records(of: "samples").map { Bytes($0) }
        #expect((2...20).contains(records.count), "\(records.count)")
        var samples = SampleWatch(configuration)
        samples.take(records, at: 5)
        func top(_ subject: String, at time: Double = 6) throws -> [[JSON]] {
            try samples.answer(["top": .string(subject)], at: time).rows
        }
        #expect(try top("destinations").map { $0[0] } == ["198.51.100.1"])
        #expect(try top("classes").map { $0[0] } == ["a"])
        #expect(try top("destination-ports").map { $0[0] } == ["53"])
        #expect(throws: StageError.self) { try top("sizes") }
        #expect(try top("destinations", at: 30).isEmpty)

        // A sample stands for what its CPU has seen since the one before: for 900 of 60 bytes, and the first for itself.
        func record(seen: UInt64, cpu: UInt32) -> Bytes {
            var bytes = Bytes(number: seen)
            bytes.append(cpu)
            bytes.append(bytes: records[0].raw.dropFirst(12))
            return bytes
        }
        samples = SampleWatch(configuration)
        samples.take([record(seen: 100, cpu: 0), record(seen: 1000, cpu: 0), record(seen: 7, cpu: 1)], at: 5)
        // Of the second since the first.
        #expect(try Array(top("classes")[0].prefix(3)) == ["a", 902, .integer(902 * 60)])
    }

    @Test func whatIsOffIsNotThere() throws {
        let stage = try StageUnderTest.egress(Configuration())
        for frame in [datagram(), Array(datagram().prefix(36)), datagram(from: "::", to: "::1")] {
            let outcome = try stage.run(frame)
            #expect(outcome.verdict == .next && outcome.packet == frame)
        }
    }
}

extension IPPrefix {
    /// The address behind its last one, or before its first at the end of all.
    fileprivate var next: IPAddress {
        var bytes = zip(address.bytes, mask).map { $0 | ~$1 }
        for index in bytes.indices.reversed() {
            bytes[index] &+= 1
            if bytes[index] != 0 { break }
        }
        return IPAddress(bytes: bytes)
    }
}
