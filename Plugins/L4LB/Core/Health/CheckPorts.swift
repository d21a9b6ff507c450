// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// The source ports of checks over TCP that go through the tunnel.
///
/// Such a check is a connection to the server's own address, made by the kernel for a process without privileges. Where
/// it leaves, the stage at `tc-egress` sends it through the tunnel to the VIP; where its answers come, the one at `xdp`
/// makes the VIP the server again. Both know the check by its source port, so each check has ports of its own.
struct CheckPorts {
    private struct Check {
        var pool: String
        var server: Server
        var vip: IPAddress
        var port: UInt16
    }

    /// How a check's connection is made.
    struct Way {
        var destination: IPAddress
        /// What clients would have asked for.
        var asked: IPAddress
        /// Nil leaves it to the kernel.
        var source: Source?
    }

    /// Where a connection comes from that goes through the tunnel.
    struct Source {
        var address: IPAddress
        /// Any of these.
        var ports: ClosedRange<UInt16>
        /// The longest segment that fits the tunnel, without headers.
        var segment: Int
    }

    /// So many for each, where there are so many: a server may not be through with the connection before.
    private static let most = 8

    private let director: Director
    private let local: String?
    private let checks: [Check]
    /// By pool, of those whose checks over TCP are of a VIP.
    private let vips: [String: IPAddress]

    init(_ configuration: Configuration) {
        director = configuration.director
        local = configuration.local
        let servers = Dictionary(
            configuration.servers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var checks: [Check] = []
        var vips: [String: IPAddress] = [:]
        for pool in configuration.pools {
            guard let check = pool.check, check.to == .vip, check.kind != .dns,
                let vip = check.vip(of: pool, in: configuration)
            else { continue }
            vips[pool.name] = vip
            for name in pool.servers where name != local {
                guard let server = servers[name] else { continue }
                checks.append(Check(pool: pool.name, server: server, vip: vip, port: check.port))
            }
        }
        self.checks = checks
        self.vips = vips
    }

    /// How many checks need a port.
    var count: Int { checks.count }

    private var portsOfEach: Int { checks.isEmpty ? 0 : min(Self.most, director.checkPorts.count / checks.count) }

    /// All that are in use; nil for none.
    var ports: ClosedRange<UInt16>? {
        guard portsOfEach > 0 else { return nil }
        return director.checkPorts.first...director.checkPorts.first + UInt16(checks.count * portsOfEach - 1)
    }

    func way(to target: CheckTarget) -> Way {
        guard let vip = vips[target.pool] else {
            return Way(destination: target.address, asked: target.address)
        }
        // This machine is the server: the VIP is its own.
        guard target.server != local else { return Way(destination: vip, asked: vip) }
        guard let source = director.source(for: vip),
            let place = checks.firstIndex(where: { $0.pool == target.pool && $0.server.name == target.server })
        else { return Way(destination: target.address, asked: target.address) }
        let first = director.checkPorts.first + UInt16(place * portsOfEach)
        let headers = vip.isIPv4 ? 40 + 40 : 60 + 60
        return Way(
            destination: target.address, asked: vip,
            source: Source(
                address: source, ports: first...first + UInt16(portsOfEach - 1), segment: director.mtu - headers))
    }

    // MARK: What the programs know

    var constants: [String: Constant] {
        let ports = ports
        return [
            "check_first": .integer(Int64(ports?.lowerBound ?? 0)),
            "check_count": .integer(Int64(ports?.count ?? 0)),
        ]
    }

    /// Of the map `checks`: a `struct l4lb_check` for each port.
    var entries: [MapEntry] {
        checks.enumerated().flatMap { place, check in
            (0..<portsOfEach).map { port in
                var value = Bytes(check.server.address.mapped)
                value.raw += check.vip.mapped
                value.append(bigEndian: check.port)
                value.pad(to: 40)
                return MapEntry(key: Bytes(number: UInt32(place * portsOfEach + port)), value: value)
            }
        }
    }
}
