// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// This boot of the machine, or of the container.
enum Boot {
    /// What no other boot has: the kernel's random id, and when the first process was started. The second tells the boots
    /// of a container apart, whose kernel goes on.
    static func id() throws -> String {
        let kernel = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        return firstProcessStarted().map { "\(kernel) \($0)" } ?? kernel
    }

    /// The time since the first process was started, to 10 ms. Nil when /proc does not say.
    static func age() -> Duration? {
        var now = timespec()
        clock_gettime(CLOCK_BOOTTIME, &now)
        let milliseconds = Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
        return firstProcessStarted().map {
            .milliseconds(milliseconds - $0 * 1000 / Int64(sysconf(Int32(_SC_CLK_TCK))))
        }
    }

    /// In clock ticks since the kernel's start.
    private static func firstProcessStarted() -> Int64? {
        guard let stat = try? String(contentsOfFile: "/proc/1/stat", encoding: .utf8),
            // The name, in brackets, may hold anything. `starttime` is field 22; the first behind the name is 3.
            let fields = stat.split(separator: ")").last?.split(separator: " "), fields.count > 19
        else { return nil }
        return Int64(fields[19])
    }
}
