// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import Glibc
import StageKit
import StageTesting
import Testing
import UDPRateLimit

/// Over some time, with all CPUs at it. `SLUICE_LIMIT_SECONDS=10` takes longer.
@Suite("Rates", .enabled(if: getuid() == 0, mayLoadPrograms))
struct RateTests {
    private static let seconds = getenv("SLUICE_LIMIT_SECONDS").flatMap { Double(String(cString: $0)) } ?? 1
    /// Half a second's worth at once, for machines that stall.
    private static let rate = Rate(packetsPerSecond: 100_000, burst: 50_000)

    enum Kind: String, CaseIterable, Sendable {
        case address, shared, prefix, source
    }

    private static func policy(_ kind: Kind) throws -> Policy {
        var policy = Policy(name: "dns", destinations: try prefixes("10.0.0.0/24"))
        switch kind {
        case .address: policy.perAddress = rate
        case .shared: (policy.perAddress, policy.buckets) = (rate, .shared)
        case .prefix: policy.perPrefix = rate
        case .source: policy.perSource = SourceRate(rate, from: 0)
        }
        return policy
    }

    /// Never more than the limit admits. That it is not less either takes a machine that does not stall for longer than
    /// the burst lasts: one try of five.
    @Test(arguments: hooks, Kind.allCases) func areHeldByAllCPUsTogether(hook: HookKind, kind: Kind) throws {
        let tolerance = 0.01 + 0.02 / Self.seconds
        var rates: [Double] = []
        repeat {
            rates.append(try admitted(hook, kind))
            #expect(rates[rates.count - 1] < 100_000 * (1 + tolerance), "\(rates)")
        } while rates[rates.count - 1] < 100_000 * (1 - tolerance) && rates.count < 5
        #expect(rates[rates.count - 1] >= 100_000 * (1 - tolerance), "\(rates)")
    }

    /// Packets a second, when all CPUs offer more.
    private func admitted(_ hook: HookKind, _ kind: Kind) throws -> Double {
        let stage = try StageUnderTest.udp(Configuration(policies: [Self.policy(kind)]), at: hook)
        // The bucket is empty before the clock starts.
        let packet = datagram(to: "10.0.0.1")
        try stage.run(packet, repeat: 200_000)
        nonisolated(unsafe) let shared = stage
        let clock = ContinuousClock()
        let (before, start) = (try stage.count(.next), clock.now)
        let end = start + .seconds(Self.seconds)
        let ended = DispatchSemaphore(value: 0)
        for _ in 0..<ProcessInfo.processInfo.activeProcessorCount {
            Thread.detachNewThread {
                while clock.now < end { _ = try? shared.run(packet, repeat: 20_000) }
                ended.signal()
            }
        }
        for _ in 0..<ProcessInfo.processInfo.activeProcessorCount { ended.wait() }
        let time = (clock.now - start) / .seconds(1)
        let admitted = Double(try stage.count(.next) - before) / time
        #expect(try stage.count(.drop) > 100_000, "more was offered than the limit admits")
        print("\(hook.rawValue), \(kind.rawValue): \(admitted) packets a second of 100000, over \(time) s")
        return admitted
    }
}
