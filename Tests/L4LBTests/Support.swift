// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting

@testable import L4LB

extension Configuration {
    /// Servers edge1, edge2, ... in one pool, with a web and a DNS service for each family of addresses.
    static func sample(
        servers count: Int = 4, weights: [Int] = [], encapsulation: Pool.Encapsulation = .gue, entries: Int = 1024,
        route: Director.Route = .back
    ) -> Configuration {
        let servers = (0..<count).map { index in
            Server(
                name: "edge\(index + 1)", number: index + 1,
                address: IPAddress(bytes: [192, 0, 2, UInt8(11 + index)]),
                mac: MACAddress([2, 0, 0, 0, 0, UInt8(index)]),
                weight: index < weights.count ? weights[index] : 100)
        }
        func service(_ name: String, _ vip: IPAddress, _ transport: Service.Transport, _ port: UInt16) -> Service {
            Service(
                name: name, vip: IPPrefix(vip, length: vip.bytes.count * 8), protocol: transport,
                ports: PortRange(port), pool: "web")
        }
        return Configuration(
            director: Director(sourceV4: "192.0.2.10", sourceV6: "2001:db8::10", route: route), servers: servers,
            pools: [Pool(name: "web", servers: servers.map(\.name), encapsulation: encapsulation, entries: entries)],
            services: [
                service("http", "198.51.100.10", .tcp, 80), service("http6", "2001:db8:1::10", .tcp, 80),
                service("dns", "198.51.100.10", .udp, 53), service("dns6", "2001:db8:1::10", .udp, 53),
            ])
    }

    init(text: String) throws {
        self = try JSON(parsing: Array(text.utf8)).decode(Configuration.self)
    }
}

/// A stage as the manager has it, without a kernel: its configuration, and what its maps hold.
struct PlannedStage {
    let configuration: Configuration
    let plan: StagePlan
    private(set) var words: [Bytes: Bytes] = [:]

    init(_ configuration: Configuration = .sample()) throws {
        self.configuration = configuration
        plan = try configuration.plan()
    }

    private var context: PlanContext { PlanContext(hook: "xdp:eth0", stage: "lb") }

    private var labels: [String: [String]] {
        Dictionary(plan.counters.map { ($0.name, $0.rows) }, uniquingKeysWith: { first, _ in first })
    }

    private var maps: [String: [MapEntry]] {
        [
            "servers": plan.maps["servers"]?.entries ?? [],
            "servers_live": words.map { MapEntry(key: $0.key, value: $0.value) },
        ]
    }

    @discardableResult
    mutating func change(_ request: JSON) throws -> [String] {
        let change = try LiveStage.change(
            ChangeRequest(context: context, request: request, labels: labels, maps: maps))
        for update in change.updates {
            for entry in update.entries { words[entry.key] = entry.value }
        }
        return change.summary
    }

    func inspect(_ request: JSON, unrouted: UInt64 = 0) throws -> StageTable {
        try LiveStage.inspect(
            InspectRequest(
                configuration: JSON(encoding: configuration), context: context, request: request, labels: labels,
                maps: maps,
                counters: [
                    "servers": [[7, 700]], "services": [[9, 900]],
                    "verdicts": Outcome.allCases.map { $0 == .unrouted ? [unrouted, 0] : [1, 1] },
                ]), configuration)
    }

    func state(_ name: String) throws -> JSON? {
        try inspect(["list": "servers"]).rows.first { $0[0] == .string(name) }?[3]
    }

    /// The path and message of the error that a change gets.
    func refusal(_ request: JSON) -> String? {
        var copy = self
        do {
            try copy.change(request)
            return nil
        } catch {
            return "\(error)"
        }
    }
}

extension SeededGenerator {
    mutating func flow(to configuration: Configuration) -> Flow {
        let service = pick(configuration.services)
        let isIPv4 = service.vip.isIPv4
        let client = (0..<(isIPv4 ? 4 : 16)).map { _ in number(0...UInt8.max) }
        return Flow(
            service.protocol, from: IPAddress(bytes: (isIPv4 ? [10] : [0x20]) + client.dropFirst()), number(1...65535),
            to: service.vip.address, service.ports.first)
    }
}

extension Flow {
    var frame: [UInt8] {
        let ip: PacketLayer =
            source.isIPv4 ? .ipv4(from: source, to: destination) : .ipv6(from: source, to: destination)
        let transport: PacketLayer =
            `protocol` == .tcp
            ? .tcp(from: sourcePort, to: destinationPort) : .udp(from: sourcePort, to: destinationPort)
        return Packet.bytes(.ethernet(), ip, transport, .payload(20))
    }
}
