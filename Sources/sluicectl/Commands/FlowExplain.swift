// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct FlowExplain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Tell where a connection's packets go, and why.",
        discussion: "sluicectl lb explain xdp:eth0 lb tcp '[2001:db8::7]:40000' '[2001:db8:1::10]:443'")

    enum Transport: String, ExpressibleByArgument, CaseIterable {
        case tcp, udp
    }

    @OptionGroup var place: LiveStage

    @Argument(help: "The protocol.")
    var transport: Transport

    @Argument(help: .init("The client's address and port.", valueName: "client"))
    var client: Endpoint

    @Argument(help: .init("The service's address and port.", valueName: "vip"))
    var vip: Endpoint

    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await place.inspect(
            global,
            [
                "explain": [
                    "protocol": .string(transport.rawValue), "source": .string(client.address),
                    "source-port": .integer(Int64(client.port)), "destination": .string(vip.address),
                    "destination-port": .integer(Int64(vip.port)),
                ]
            ])
    }
}

/// `192.0.2.1:80`, `[2001:db8::1]:80`; whether the address is one, the plugin says.
struct Endpoint: ExpressibleByArgument, Equatable {
    var address: String
    var port: UInt16

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"), let port = UInt16(argument[argument.index(after: colon)...])
        else {
            return nil
        }
        let host = argument[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        // Without brackets an address of IPv6 might have the port in it.
        guard isBracketed || !host.contains(":") else { return nil }
        (address, self.port) = (String(isBracketed ? host.dropFirst().dropLast() : host), port)
    }
}
