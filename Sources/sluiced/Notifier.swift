// SPDX-License-Identifier: Apache-2.0

import CSystemd
import ServiceLifecycle
import SluiceAPI

/// Tells systemd how the daemon is (sd_notify(3)); tells nobody when systemd did not start it.
enum Notifier {
    /// Starting is over.
    static func ready(_ status: String) {
        sd_notify(0, "READY=1\nSTATUS=\(status)")
    }

    static func stopping(_ status: String) {
        sd_notify(0, "STOPPING=1\nSTATUS=\(status)")
    }

    static func status(_ status: String) {
        sd_notify(0, "STATUS=\(status)")
    }
}

/// Pings systemd's watchdog at half of its time, each time by way of the manager: if that hangs, the pings stop, and
/// systemd starts the daemon anew.
struct Watchdog: Service {
    var manager: any ManagerService
    var interval: Duration
    var ping: @Sendable () -> Void = { sd_notify(0, "WATCHDOG=1") }

    init(manager: any ManagerService, interval: Duration, ping: @escaping @Sendable () -> Void) {
        self.manager = manager
        self.interval = interval
        self.ping = ping
    }

    /// Nil when the unit has no `WatchdogSec=`.
    init?(manager: any ManagerService) {
        var microseconds: UInt64 = 0
        guard sd_watchdog_enabled(0, &microseconds) > 0 else { return nil }
        self.manager = manager
        interval = .microseconds(microseconds / 2)
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                _ = await manager.isBusy()
                ping()
                // Cut short by the end of the daemon, which is none of the watchdog's failures.
                try? await Task.sleep(for: interval)
            }
        }
    }
}
