// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Sluicectl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluicectl",
        abstract: "See and change the chains of BPF programs that sluiced keeps on this machine's hooks.",
        discussion: """
            Exit status: 0 done, 1 failed (for doctor: unhealthy), 2 plan found changes, 3 a canary was aborted, 64 wrong \
            usage. Reading needs root or the group sluice-view, changing root or the group sluice.
            """,
        version: SluiceVersion.current,
        groupedSubcommands: [
            CommandGroup(
                name: "See",
                subcommands: [
                    Status.self, Stats.self, History.self, Events.self, Plugins.self, Map.self, Policy.self,
                    Doctor.self,
                    Probe.self, Version.self,
                ]),
            CommandGroup(
                name: "Change",
                subcommands: [
                    Plan.self, Apply.self, Adopt.self, Upgrade.self, Canary.self, Rollback.self, Detach.self,
                    Rule.self, LoadBalancer.self, Socket.self, CollectGarbage.self,
                ]),
        ])
}
