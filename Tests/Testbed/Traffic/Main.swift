// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Clients, servers and worse, for the scripts beside it. Each command is one thread and one loop over poll(2).
@main
struct Traffic: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "testbed-traffic", abstract: "Clients, servers and worse, for Tests/Testbed.",
        subcommands: [
            Serve.self, Hold.self, Knock.self, Flood.self, Wire.self, Datagrams.self, Sink.self,
        ])
}
