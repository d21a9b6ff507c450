// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SluiceAPI

struct LoadBalancer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lb", abstract: "See and change the servers of a live load balancer.",
        discussion: """
            A change takes effect at once: no generation is built. It stays through restarts, upgrades, rollbacks and \
            reboots, until it is undone or the chain detached. All machines of a cluster are to be told the same.
            """,
        subcommands: [
            ServerList.self, ServiceList.self, FlowExplain.self, ServerDrain.self, ServerFill.self, ServerWeigh.self,
            ServerDown.self, ServerUp.self,
        ])
}

struct ServerList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "servers", abstract: "List the servers, their state, weight and packets.")

    @OptionGroup var place: LiveStage
    @OptionGroup var global: GlobalOptions

    func run() async throws { try await place.inspect(global, ["list": "servers"]) }
}

struct ServiceList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "services", abstract: "List the services, their pools and packets.")

    @OptionGroup var place: LiveStage
    @OptionGroup var global: GlobalOptions

    func run() async throws { try await place.inspect(global, ["list": "services"]) }
}

/// A change of some servers, all of them or none.
struct ServerChange: ParsableArguments {
    @OptionGroup var place: LiveStage

    @Argument(help: .init("The servers' names.", valueName: "server"))
    var names: [String]

    @OptionGroup var note: MessageOption
    @OptionGroup var global: GlobalOptions

    func make(_ verb: String) async throws {
        try await place.change(global, note) { .object([verb: .array(names.map { .string($0) })]) }
    }
}

struct ServerDrain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Give servers no new connections, and let them keep those they have: all of them or none.")

    @OptionGroup var change: ServerChange

    func run() async throws { try await change.make("drain") }
}

struct ServerFill: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fill",
        abstract: "Give servers new connections again, and leave others what they have meanwhile, over UDP too.")

    @OptionGroup var change: ServerChange

    func run() async throws { try await change.make("fill") }
}

struct ServerDown: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down", abstract: "Take servers out at once: no packets, their connections break.")

    @OptionGroup var change: ServerChange

    func run() async throws { try await change.make("down") }
}

struct ServerUp: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Make servers active, whatever they are, until a check finds something else.")

    @OptionGroup var change: ServerChange

    func run() async throws { try await change.make("up") }
}

struct ServerWeigh: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weight", abstract: "Give a server a part of the new connections that its weight in the spec does."
    )

    @OptionGroup var place: LiveStage

    @Argument(help: .init("The server's name.", valueName: "server"))
    var name: String

    @Argument(help: .init("From 0, none, to its weight in the spec.", valueName: "weight"))
    var weight: Int

    @OptionGroup var note: MessageOption
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await place.change(global, note) { ["weight": .object([name: .integer(Int64(weight))])] }
    }
}
