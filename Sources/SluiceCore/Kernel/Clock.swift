// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Foundation
internal import Glibc
internal import StageKit

/// The time of day, and what the kernel's times (`CLOCK_MONOTONIC`, nanoseconds, 0 for never) are in it.
struct Clock {
    /// From one to the other, in nanoseconds, as of when this was made.
    private let offset = Self.nanoseconds(CLOCK_REALTIME) - Self.nanoseconds(CLOCK_MONOTONIC)

    /// Seconds since 1970, UTC; 0 for never.
    func seconds(of time: UInt64) -> UInt64 { time == 0 ? 0 : wall(time) / 1_000_000_000 }

    /// ISO 8601, UTC; nil for never.
    func text(of time: UInt64) -> String? {
        time == 0 ? nil : Store.timestamp(Date(timeIntervalSince1970: Double(wall(time)) / 1e9))
    }

    /// What a program wrote may be no time at all.
    private func wall(_ time: UInt64) -> UInt64 { UInt64(max(0, offset)).addingReportingOverflow(time).partialValue }

    fileprivate static func nanoseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

extension PlanContext {
    /// Of a stage that is asked now.
    init(now hook: HookID, stage: String) {
        let time = Clock.nanoseconds(CLOCK_REALTIME)
        // Whole seconds, that it may be rounded.
        let ahead = Double(Clock.nanoseconds(CLOCK_TAI) - time) / 1e9
        self.init(
            hook: hook.description, stage: stage, time: time / 1_000_000_000, taiOffset: Int64(ahead.rounded()),
            monotonic: UInt64(Clock.nanoseconds(CLOCK_MONOTONIC)), cpus: BPFMap.possibleCPUs)
    }
}
