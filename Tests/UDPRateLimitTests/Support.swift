// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import Testing
import UDPRateLimit

let mayLoadPrograms: Comment = "needs root, to load programs"

/// The hooks that the stage stands at.
let hooks: [HookKind] = [.socketFilter, .cgroupSkbIngress]

/// Of the time now, as the manager makes it.
func context(_ kind: HookKind = .cgroupSkbIngress, cpus: Int = 1, ahead: Int64 = 0) -> PlanContext {
    var (tai, real, monotonic) = (timespec(), timespec(), timespec())
    clock_gettime(11, &tai)
    clock_gettime(CLOCK_REALTIME, &real)
    clock_gettime(CLOCK_MONOTONIC, &monotonic)
    return PlanContext(
        hook: "\(kind.rawValue):dns", stage: "limit", time: Int64(real.tv_sec) + ahead,
        taiOffset: Int64(tai.tv_sec) - Int64(real.tv_sec),
        monotonic: UInt64(monotonic.tv_sec) * 1_000_000_000 + UInt64(monotonic.tv_nsec), cpus: cpus)
}

/// A token a second, and the burst at once, so that what passes can be counted.
func slow(_ burst: UInt64) -> Rate { Rate(packetsPerSecond: 1, burst: burst) }

/// Counts from before the first packet, for machines that stall: each second may bring a packet more.
struct Tokens {
    private let start = ContinuousClock.now

    /// Whether so many packets are what passes of a full bucket of so many.
    func are(_ passed: UInt64, of burst: UInt64) -> Bool {
        passed >= burst && Double(passed) <= Double(burst) + (ContinuousClock.now - start) / .seconds(1) + 1
    }
}

func datagram(
    to destination: IPAddress, from source: IPAddress? = nil, port: UInt16 = 53, payload: Int = 18
) -> [UInt8] {
    Packet.bytes(
        .ethernet(),
        destination.isIPv4
            ? .ipv4(from: source ?? "203.0.113.1", to: destination)
            : .ipv6(from: source ?? "2001:db8:f::1", to: destination),
        .udp(from: 4000, to: port), .payload(payload))
}

extension StageUnderTest {
    static func udp(
        _ configuration: Configuration, at hook: HookKind, after earlier: StageUnderTest? = nil
    ) throws -> StageUnderTest {
        try StageUnderTest(
            configuration.plan(in: context(hook)), at: hook, objects: objects(of: "udp-ratelimit-1_0"),
            sharingStateWith: earlier)
    }

    /// How many of `count` packets go on.
    func passed(_ packet: [UInt8], of count: Int) throws -> UInt64 {
        let before = try self.count(.next)
        try run(packet, repeat: count)
        return try self.count(.next) - before
    }

    func passed(to destination: IPAddress, from source: IPAddress? = nil, of count: Int) throws -> UInt64 {
        try passed(datagram(to: destination, from: source), of: count)
    }

    /// A policy's counters, in the order of their columns.
    func counts(of policy: String) throws -> [UInt64] {
        try ["admitted", "over-source", "over-address", "over-prefix", "full"].map {
            try counter("policies", policy, $0) ?? .max
        }
    }
}

func prefixes(_ texts: String...) throws -> [IPPrefix] { try texts.map { try IPPrefix($0) } }
