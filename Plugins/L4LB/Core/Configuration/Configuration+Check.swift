// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension Configuration {
    /// More than these are refused.
    public static let maximumServers = 4095
    public static let maximumServersOfPool = 1024
    public static let maximumServices = 1024
    /// Prefix lengths of VIPs, of each family, and services with port ranges on a VIP and protocol.
    static let maximumLengths = 4
    static let maximumRanges = 16
    /// Of a forwarding table.
    public static let entries = 256...65536
    /// Of all forwarding tables: as much as a plan can say.
    public static let maximumEntries = 1 << 21
    /// Entries times servers, over all tables: some three seconds of work.
    public static let maximumScores = 1 << 29

    /// - Throws: ``StageError`` for what cannot work.
    func check() throws(StageError) {
        try checkNames(servers.map(\.name), of: "servers", maximum: Self.maximumServers)
        try checkNames(pools.map(\.name), of: "pools", maximum: Self.maximumServices)
        try checkNames(services.map(\.name), of: "services", maximum: Self.maximumServices)
        guard quicConfig <= 6 else { throw StageError("\(quicConfig): expected 0 to 6", at: "quic-config") }
        guard guePort > 0 else { throw StageError("0: expected a port of 1 to 65535", at: "gue-port") }
        if let local, !servers.contains(where: { $0.name == local }) {
            throw StageError("there is no server \"\(local)\"", at: "local")
        }
        try checkVIPs()
        try checkServers()
        let byName = Dictionary(servers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for (index, pool) in pools.enumerated() { try check(pool, byName, at: "pools[\(index)]") }
        try checkTables()
        let poolNames = Set(pools.map(\.name))
        for (index, service) in services.enumerated() { try check(service, poolNames, at: "services[\(index)]") }
        try checkMTU()
        guard director.checkPorts.first >= 1024 else {
            throw StageError("\(director.checkPorts): expected ports of 1024 and above", at: "director.check-ports")
        }
        let (checks, ports) = (CheckPorts(self).count, director.checkPorts.count)
        guard checks <= ports else {
            throw StageError(
                "\(director.checkPorts) has \(ports) ports; \(checks) checks go through the tunnel and need one each",
                at: "director.check-ports")
        }
    }

    private func checkNames(_ names: [String], of list: String, maximum: Int) throws(StageError) {
        guard names.count <= maximum else {
            throw StageError("has \(names.count) of them; at most \(maximum) are possible", at: list)
        }
        var seen: Set<String> = []
        for (index, name) in names.enumerated() {
            guard (1...63).contains(name.utf8.count), name.unicodeScalars.allSatisfy(Self.mayBeInName) else {
                throw StageError(
                    "\"\(name)\": expected 1 to 63 letters, digits and ._-", at: "\(list)[\(index)].name")
            }
            guard seen.insert(name).inserted else {
                throw StageError("\"\(name)\" is there twice", at: "\(list)[\(index)].name")
            }
        }
    }

    private static func mayBeInName(_ character: Unicode.Scalar) -> Bool {
        switch character {
        case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-": true
        default: false
        }
    }

    private func checkServers() throws(StageError) {
        var (addresses, numbers, tags): ([IPAddress: String], [Int: String], [UInt32: String]) = ([:], [:], [:])
        let sorted = services.sorted { $0.vip < $1.vip }
        let taken = Set(servers.map(\.number))
        for (index, server) in servers.enumerated() {
            let path = "servers[\(index)]"
            guard (0...100).contains(server.weight) else {
                throw StageError("\(server.weight): expected a weight of 0 to 100", at: "\(path).weight")
            }
            guard (1...Self.maximumServers).contains(server.number) else {
                throw StageError("\(server.number): expected 1 to \(Self.maximumServers)", at: "\(path).id")
            }
            if let other = numbers.updateValue(server.name, forKey: server.number) {
                let free = (1...Self.maximumServers).first { !taken.contains($0) } ?? 0
                throw StageError(
                    "servers \"\(other)\" and \"\(server.name)\" have the number \(server.number); give one of them an "
                        + "`id` that is free, such as \(free), the same on all machines", at: "\(path).id")
            }
            if let other = tags.updateValue(server.name, forKey: server.tag) {
                throw StageError(
                    "\"\(server.name)\" cannot be told from \"\(other)\" by its hash; call it otherwise",
                    at: "\(path).name")
            }
            if let other = addresses.updateValue(server.name, forKey: server.address) {
                throw StageError(
                    "\(server.address) is the address of server \"\(other)\" too", at: "\(path).address")
            }
            guard server.address.isOneMachines else {
                throw StageError("\(server.address) is not one machine's address", at: "\(path).address")
            }
            if let service = sorted.service(of: server.address) {
                throw StageError(
                    "\(server.address) is in the VIP \(service.vip) of service \"\(service.name)\": packets to the "
                        + "server would be taken for the service's", at: "\(path).address")
            }
        }
    }

    private func check(
        _ pool: Pool, _ servers: [String: Server], at path: String
    ) throws(StageError) {
        guard !pool.servers.isEmpty else { throw StageError("expected a server at least", at: "\(path).servers") }
        guard pool.servers.count <= Self.maximumServersOfPool else {
            throw StageError(
                "has \(pool.servers.count) of them; at most \(Self.maximumServersOfPool) are possible",
                at: "\(path).servers")
        }
        var seen: Set<String> = []
        var weight = 0
        for (index, name) in pool.servers.enumerated() {
            let path = "\(path).servers[\(index)]"
            guard let server = servers[name] else {
                throw StageError("there is no server \"\(name)\"", at: path)
            }
            guard seen.insert(name).inserted else { throw StageError("\"\(name)\" is there twice", at: path) }
            if let first = servers[pool.servers[0]], first.address.isIPv4 != server.address.isIPv4 {
                throw StageError(
                    "\(server.address) of server \"\(name)\" and \(first.address) of \"\(first.name)\" are of two families; "
                        + "a pool's servers are all of one", at: path)
            }
            if pool.encapsulation == .direct {
                guard server.mac != nil || name == local else {
                    throw StageError(
                        "server \"\(name)\" has no `mac`, which encapsulation direct sends by", at: path)
                }
            } else if name != local, director.source(for: server.address) == nil {
                throw StageError(
                    "server \"\(name)\" has the address \(server.address), so packets to it need a "
                        + "`director.source-\(server.address.isIPv4 ? "v4" : "v6")`", at: path)
            }
            weight += server.weight
        }
        guard weight > 0 else { throw StageError("none of its servers has a weight above 0", at: "\(path).servers") }
        guard Self.entries.contains(pool.entries), pool.entries & (pool.entries - 1) == 0 else {
            throw StageError(
                "\(pool.entries): expected a power of two of \(Self.entries.lowerBound) to "
                    + "\(Self.entries.upperBound)", at: "\(path).entries")
        }
        try pool.check?.check(in: pool, of: self, at: "\(path).check")
    }

    private func checkTables() throws(StageError) {
        let tables = Set(pools.map(\.table))
        let entries = tables.reduce(0) { $0 + $1.entries }
        guard entries <= Self.maximumEntries else {
            throw StageError(
                "have forwarding tables of \(entries) entries together; at most \(Self.maximumEntries) are possible: "
                    + "give some fewer `entries`", at: "pools")
        }
        for isIPv4 in [true, false] {
            let lengths = Set(services.filter { $0.vip.isIPv4 == isIPv4 }.map(\.vip.length))
            guard lengths.count <= Self.maximumLengths else {
                throw StageError(
                    "have VIPs of \(lengths.count) prefix lengths of \(isIPv4 ? "IPv4" : "IPv6"); at most "
                        + "\(Self.maximumLengths) are possible", at: "services")
            }
        }
        let scores = tables.reduce(0) { $0 + $1.entries * $1.servers.count }
        guard scores <= Self.maximumScores else {
            throw StageError(
                "need \(scores) scores (entries times servers, over all); at most \(Self.maximumScores) are possible: "
                    + "give some fewer `entries`, or let services share pools", at: "pools")
        }
    }

    private func check(_ service: Service, _ pools: Set<String>, at path: String) throws(StageError) {
        guard pools.contains(service.pool) else {
            throw StageError("there is no pool \"\(service.pool)\"", at: "\(path).pool")
        }
        guard !service.quic || service.protocol == .udp else {
            throw StageError("is for protocol udp only", at: "\(path).quic")
        }
        guard service.vip.address.isOneMachines else {
            throw StageError("\(service.vip) has addresses that are not one machine's", at: "\(path).vip")
        }
        for (name, source) in [("v4", director.sourceV4), ("v6", director.sourceV6)] {
            if let source, service.vip.contains(source) {
                throw StageError(
                    "\(service.vip) has the director's own address \(source) (`director.source-\(name)`) in it",
                    at: "\(path).vip")
            }
        }
    }

    private func checkVIPs() throws(StageError) {
        // A prefix is followed by those within it: if any overlap, two neighbours do.
        let sorted = services.enumerated().sorted {
            $0.element.vip == $1.element.vip ? $0.offset < $1.offset : $0.element.vip < $1.element.vip
        }
        var begin = 0
        for (index, (place, service)) in sorted.enumerated() where index > 0 {
            let previous = sorted[index - 1]
            if previous.element.vip != service.vip { begin = index }
            if previous.element.vip != service.vip, previous.element.vip.contains(service.vip.address) {
                let other = place > previous.offset ? previous.element : service
                throw StageError(
                    "\(service.vip) and \(previous.element.vip) overlap (service \"\(other.name)\")",
                    at: "services[\(max(place, previous.offset))].vip")
            }
            for (_, earlier) in sorted[begin..<index]
            where earlier.protocol == service.protocol && earlier.ports.overlaps(service.ports) {
                throw StageError(
                    "\(service.vip) \(service.protocol.rawValue) \(service.ports) is that of service "
                        + "\"\(earlier.name)\" too (\(earlier.ports))", at: "services[\(place)].vip")
            }
            let ranges = sorted[begin...index].count {
                $0.element.protocol == service.protocol && $0.element.ports.isRange
            }
            guard ranges <= Self.maximumRanges else {
                throw StageError(
                    "\(service.vip) has more than \(Self.maximumRanges) services of protocol "
                        + "\(service.protocol.rawValue) with ranges of ports", at: "services[\(place)].port")
            }
        }
    }

    private func checkMTU() throws(StageError) {
        let overhead = pools.map { self.overhead(of: $0) }.max() ?? 0
        let least = services.contains { !$0.vip.isIPv4 } ? 1280 : 576
        guard (least + overhead...9216).contains(director.mtu) else {
            throw StageError(
                "\(director.mtu): expected \(least + overhead) to 9216: \(overhead) bytes of it are outer headers, and "
                    + "what is in them may have to be \(least) bytes long", at: "director.mtu")
        }
    }
}

extension Director {
    /// The outer source address to `destination`; nil when there is none of that family.
    func source(for destination: IPAddress) -> IPAddress? { destination.isIPv4 ? sourceV4 : sourceV6 }
}

extension IPAddress {
    /// Whether a packet to it goes to one machine, over a link.
    fileprivate var isOneMachines: Bool {
        isIPv4
            ? (1..<224).contains(bytes[0]) && bytes[0] != 127
            : bytes[0] != 0xff && bytes.dropLast().contains { $0 != 0 }
    }
}

extension IPPrefix {
    /// IPv4 first; a prefix before those within it.
    fileprivate static func < (left: IPPrefix, right: IPPrefix) -> Bool {
        if left.isIPv4 != right.isIPv4 { return left.isIPv4 }
        if left.address != right.address { return left.address.bytes.lexicographicallyPrecedes(right.address.bytes) }
        return left.length < right.length
    }
}

extension [Service] {
    /// The one whose VIP `address` is in, of services sorted by VIPs that do not overlap.
    fileprivate func service(of address: IPAddress) -> Service? {
        var (low, high) = (0, self.count)
        while low < high {
            let middle = (low + high) / 2
            if IPPrefix(address, length: address.bytes.count * 8) < self[middle].vip {
                high = middle
            } else {
                low = middle + 1
            }
        }
        return low > 0 && self[low - 1].vip.contains(address) ? self[low - 1] : nil
    }
}
