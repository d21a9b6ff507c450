// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct Policy: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "See what a live policy makes of a call or a packet.", subcommands: [PolicyExplain.self])
}

struct PolicyExplain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Tell which rule decides, and why others do not.",
        discussion: """
            What is asked follows from the hook: whether the service may connect to, send to or bind an address, or what \
            becomes of a packet to or from there.
            sluicectl policy explain cgroup-connect4:dns.service policy tcp 192.0.2.7:443
            """)

    enum Transport: String, ExpressibleByArgument, CaseIterable {
        case tcp, udp
    }

    @OptionGroup var place: LiveStage

    @Argument(help: "The protocol.")
    var transport: Transport

    @Argument(help: .init("The address and port, of the other end or to be bound.", valueName: "address"))
    var address: Endpoint

    @Option(help: .init("Of a packet, the service's own port.", valueName: "port"))
    var localPort: UInt16?

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        var call: [String: JSONValue] = [
            "protocol": .string(transport.rawValue), "address": .string(address.address),
            "port": .integer(Int64(address.port)),
        ]
        if let localPort { call["local-port"] = .integer(Int64(localPort)) }
        try await place.inspect(global, ["explain": .object(call)])
    }
}
