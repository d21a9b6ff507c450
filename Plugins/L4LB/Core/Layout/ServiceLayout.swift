// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// How the program finds services.
struct ServiceLayout {
    /// `L4LB_CHUNK`.
    static let chunk = 1024
    /// `L4LB_FILTER_WORDS` and `L4LB_FILTER_SHIFT`.
    private static let filterWords = 256
    private static let filterShift: UInt64 = 50

    let configuration: Configuration
    private let pools: [String: Pool]

    init(_ configuration: Configuration) {
        self.configuration = configuration
        pools = Dictionary(configuration.pools.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    private var services: [Service] { configuration.services }

    /// The services of one prefix and protocol.
    private struct Place: Hashable {
        var vip: IPPrefix
        var number: UInt8

        /// A `struct l4lb_vip_key`.
        var key: Bytes {
            var bytes = Bytes(vip.address.mapped + [UInt8(vip.mappedLength), number])
            bytes.pad(to: 8)
            return bytes
        }
    }

    /// By prefix and protocol, in order.
    private var places: [(place: Place, services: [Int])] {
        Dictionary(grouping: services.indices) { Place(vip: services[$0].vip, number: services[$0].protocol.number) }
            .map { ($0.key, $0.value.sorted()) }.sorted { $0.services[0] < $1.services[0] }
    }

    /// `lengths_v4` or `lengths_v6`, the longest first.
    func lengths(isIPv4: Bool) -> Bytes {
        let prefixes = services.map(\.vip).filter { $0.isIPv4 == isIPv4 }
        let longest = Dictionary(prefixes.map { ($0.length, $0) }, uniquingKeysWith: { first, _ in first })
            .sorted { $0.key > $1.key }.map(\.value)
        var bytes = Bytes()
        for prefix in longest {
            bytes.append(bytes: prefix.mappedMask)
            bytes.append(UInt64(prefix.mappedLength))
        }
        bytes.append(bytes: [UInt8](repeating: 0, count: Configuration.maximumLengths * 24 - bytes.raw.count))
        return bytes
    }

    /// `vip_filter`.
    var filter: Bytes {
        var words = [UInt64](repeating: 0, count: Self.filterWords)
        for vip in Set(services.map(\.vip)) {
            let (high, low) = vip.address.words
            let bit = Int(Mix(UInt64(vip.mappedLength), high, low).hash >> Self.filterShift)
            words[bit / 64] |= 1 << UInt64(bit % 64)
        }
        return words.reduce(into: Bytes()) { $0.append($1) }
    }

    var hasRanges: Bool { services.contains(where: \.ports.isRange) }

    /// `services_by_port`.
    var byPort: [MapEntry] {
        services.enumerated().filter { !$0.element.ports.isRange }.map { index, service in
            var key = Bytes(service.vip.address.mapped + [UInt8(service.vip.mappedLength), service.protocol.number])
            key.append(bigEndian: service.ports.first)
            key.pad(to: 8)
            return MapEntry(key: key, value: Bytes(number: UInt32(index)))
        }
    }

    /// `vips`.
    var vips: [MapEntry] {
        let withServices = places.map { place, indices in
            MapEntry(
                key: place.key,
                value: value(
                    ranges: indices.filter { services[$0].ports.isRange }
                        .sorted { services[$0].ports.first < services[$1].ports.first },
                    fragments: indices[0]))
        }
        guard configuration.icmpEcho else { return withServices }
        var seen: Set<IPPrefix> = []
        return withServices
            + services.map(\.vip).filter { seen.insert($0).inserted }.map { vip in
                MapEntry(
                    key: Place(vip: vip, number: vip.isIPv4 ? 1 : 58).key, value: value(ranges: [], fragments: 0))
            }
    }

    /// A `struct l4lb_vip`.
    private func value(ranges: [Int], fragments: Int) -> Bytes {
        var bytes = Bytes()
        let count = Configuration.maximumRanges
        for end in [\PortRange.first, \PortRange.last] {
            for place in 0..<count {
                // What is not in use ends before it begins.
                let nothing: UInt16 = end == \PortRange.first ? 1 : 0
                bytes.append(place < ranges.count ? services[ranges[place]].ports[keyPath: end] : nothing)
            }
        }
        for place in 0..<count { bytes.append(place < ranges.count ? UInt16(ranges[place]) : 0) }
        bytes.append(UInt16(fragments))
        bytes.append(UInt16(ranges.isEmpty ? 0 : 1))
        return bytes
    }

    /// Prefixes and protocols whose fragments go to one of several pools, for the plan: what they go to, and what not.
    var fragmentChoices: [(chosen: Service, others: [Service])] {
        places.compactMap { _, indices in
            let all = indices.map { services[$0] }
            let others = all.filter { $0.pool != all[0].pool }
            return others.isEmpty ? nil : (all[0], others)
        }
    }

    /// `quic_members`, by the first chunk of each pool's table.
    func quicMembers(_ firstChunks: [String: Int]) -> [MapEntry] {
        let numbers = Dictionary(
            configuration.servers.map { ($0.name, $0.number) }, uniquingKeysWith: { first, _ in first })
        let tables = Dictionary(
            services.filter(\.quic).map { (firstChunks[$0.pool]!, $0.pool) }, uniquingKeysWith: { first, _ in first })
        return tables.sorted { $0.key < $1.key }.flatMap { chunk, pool in
            pools[pool]!.servers.map { name in
                var key = Bytes(number: UInt32(chunk))
                key.append(UInt32(numbers[name]!))
                return MapEntry(key: key, value: Bytes([1]))
            }
        }
    }

    /// `services`, by the first chunk of each pool's table.
    func entries(_ firstChunks: [String: Int]) -> [MapEntry] {
        services.enumerated().map { index, service in
            let pool = pools[service.pool]!
            var bytes = Bytes()
            bytes.append(UInt32(firstChunks[service.pool]!))
            bytes.append(UInt32(pool.entries - 1))
            bytes.append(bytes: [
                pool.encapsulation.number, pool.hash == .source ? 1 : 0, service.quic ? 1 : 0,
                pool.encapsulation.namesHops ? UInt8(GUEHeader.hops) : 0,
            ])
            bytes.append(UInt16(configuration.overhead(of: pool)))
            bytes.append(UInt16(0))
            return MapEntry(key: Bytes(number: UInt32(index)), value: bytes)
        }
    }
}

extension Pool.Encapsulation {
    /// `enum l4lb_encapsulation`.
    fileprivate var number: UInt8 {
        switch self {
        case .gue: 0
        case .ipip: 1
        case .direct: 2
        }
    }
}

extension Configuration {
    /// The bytes that a pool's encapsulation adds to a packet.
    func overhead(of pool: Pool) -> Int {
        let isIPv4 = servers.first { $0.name == pool.servers.first }?.address.isIPv4 ?? true
        return switch pool.encapsulation {
        case .gue: (isIPv4 ? 20 : 40) + 8 + GUEHeader.size
        case .ipip: isIPv4 ? 20 : 40
        case .direct: 0
        }
    }
}
