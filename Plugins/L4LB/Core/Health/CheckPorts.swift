// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// The source ports of checks over TCP that go through the tunnel.
///
/// Such a check is a connection to the server's own address, made by the kernel for a process without privileges. Where
/// it leaves, the stage at `tc-egress` sends it through the tunnel to the VIP; where its answers come, the one at `xdp`
/// makes the VIP the server again. Both know the check by its source port, so each check has ports of its own.
struct CheckPorts {
    private struct Check {
        var name: Name
        var address: IPAddress
        var vip: IPAddress
        var port: UInt16
    }

    private struct Name: Hashable {
        var pool: String
        var server: String
        /// No name has a slash.
        var hash: UInt64 { nameHash("\(pool)/\(server)") }
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
        var ports: [UInt16]
        /// The longest segment that fits the tunnel, without headers.
        var segment: Int
    }

    /// So many for each, where there are so many: a server may not be through with the connection before.
    private static let most = 8

    private let director: Director
    private let local: String?
    private let checks: [Check]
    /// The places of each one's ports, from the first of all on.
    private let places: [Name: [Int]]
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
                let name = Name(pool: pool.name, server: name)
                checks.append(Check(name: name, address: server.address, vip: vip, port: check.port))
            }
        }
        self.checks = checks
        self.vips = vips
        places = Self.places(of: checks.map(\.name), in: director.checkPorts.count)
    }

    /// By hash, and not one behind the other: where checks come and go, all others keep their ports, but for one of eight
    /// now and then, which another has taken. So generations with other checks, as of a canary, hardly disagree.
    private static func places(of checks: [Name], in count: Int) -> [Name: [Int]] {
        guard (1...count).contains(checks.count) else { return [:] }
        // The fewer are taken, the fewer meet.
        let each = max(1, min(most, count / 2 / checks.count))
        let sorted = checks.map { (name: $0, hash: $0.hash) }.sorted { $0.hash < $1.hash }
        var places: [Name: [Int]] = [:]
        var taken = [Bool](repeating: false, count: count)
        for turn in 0..<each {
            for (name, hash) in sorted {
                var place = Int(Mix(hash, UInt64(turn), 0).hash >> 32) % count
                while taken[place] { place = (place + 1) % count }
                taken[place] = true
                places[name, default: []].append(place)
            }
        }
        return places
    }

    /// How many checks need a port.
    var count: Int { checks.count }

    func way(to target: CheckTarget) -> Way {
        guard let vip = vips[target.pool] else {
            return Way(destination: target.address, asked: target.address)
        }
        // This machine is the server: the VIP is its own.
        guard target.server != local else { return Way(destination: vip, asked: vip) }
        guard let source = director.source(for: vip),
            let places = places[Name(pool: target.pool, server: target.server)]
        else { return Way(destination: target.address, asked: target.address) }
        let headers = vip.isIPv4 ? 40 + 40 : 60 + 60
        return Way(
            destination: target.address, asked: vip,
            source: Source(
                address: source, ports: places.map { director.checkPorts.first + UInt16($0) },
                segment: director.mtu - headers))
    }

    // MARK: What the programs know

    var constants: [String: Constant] {
        [
            "check_first": .integer(Int64(director.checkPorts.first)),
            "check_count": .integer(Int64(checks.isEmpty ? 0 : director.checkPorts.count)),
        ]
    }

    /// The map `checks`: a `struct l4lb_check` for each port.
    var map: MapPlan {
        let entries = checks.flatMap { check in
            (places[check.name] ?? []).map { place in
                var value = Bytes(check.address.mapped)
                value.raw += check.vip.mapped
                value.append(bigEndian: check.port)
                value.pad(to: 40)
                return MapEntry(key: Bytes(number: UInt32(place)), value: value)
            }
        }
        // A map has at least one entry; what is not in use is not looked at.
        return MapPlan(
            maxEntries: checks.isEmpty ? 1 : UInt32(director.checkPorts.count), entries: entries, freeze: true)
    }
}
