// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Which bucket is whose: addresses from the bottom of `own_buckets` up, policy by policy, and prefixes with a limit from
/// its top down.
struct Layout {
    struct Place {
        var policy: Int
        var destination: IPPrefix
        /// The bucket of its first address; nil for one that is shared.
        var first: Int?
        /// That of the whole prefix; nil if it has no limit.
        var whole: Int?
    }

    private(set) var places: [Place] = []
    /// How many there are: a power of two, so that a configuration a little larger goes on with the same.
    let buckets: Int

    /// `UDP_DROPS`.
    static let group = 64

    /// - Precondition: the configuration is one that can work.
    init(_ configuration: Configuration) {
        var (addresses, prefixes) = (0, 0)
        let listed = Set(configuration.policies.flatMap(\.destinations))
        for (index, policy) in configuration.policies.enumerated() {
            // A prefix with a limit must stay one.
            let destinations =
                policy.perPrefix == nil ? Self.merged(policy.destinations, apart: listed) : policy.destinations
            for destination in destinations {
                places.append(
                    Place(
                        policy: index, destination: destination, first: policy.buckets == .own ? addresses : nil,
                        whole: policy.perPrefix == nil ? nil : prefixes))
                if policy.buckets == .own { addresses += 1 << destination.hostBits }
                if policy.perPrefix != nil { prefixes += 1 }
            }
        }
        var buckets = Self.group
        while buckets < addresses + prefixes { buckets *= 2 }
        for index in places.indices { places[index].whole = places[index].whole.map { buckets - 1 - $0 } }
        self.buckets = buckets
    }

    /// Prefixes that hold the same addresses, as few as can be: thousands of addresses one after the other are found by a
    /// look-up in a table of few.
    /// - Parameter listed: What any policy lists: none of it may be made of others, as it would change what it is for.
    private static func merged(_ destinations: [IPPrefix], apart listed: Set<IPPrefix>) -> [IPPrefix] {
        var result: [IPPrefix] = []
        for prefix in destinations.sorted(by: { $0.address.bytes.lexicographicallyPrecedes($1.address.bytes) }) {
            result.append(prefix)
            while result.count >= 2, let whole = Self.whole(of: result[result.count - 2], result[result.count - 1]),
                !listed.contains(whole)
            {
                result.removeLast(2)
                result.append(whole)
            }
        }
        return result
    }

    /// The prefix of which these are the halves; nil if they are not.
    private static func whole(of first: IPPrefix, _ second: IPPrefix) -> IPPrefix? {
        guard first.isIPv4 == second.isIPv4, first.length == second.length, first.length > 0 else { return nil }
        let whole = IPPrefix(first.address, length: first.length - 1)
        return first != second && whole.contains(second.address) ? whole : nil
    }

    /// The longest prefix that an address is in.
    func policy(of address: IPAddress) -> Int? {
        places.filter { $0.destination.contains(address) }.max { $0.destination.length < $1.destination.length }?.policy
    }
}

/// Whose the buckets are, the other way round.
struct OwnAddresses {
    /// By their first buckets.
    private let places: [Layout.Place]

    init(_ layout: Layout) {
        places = layout.places.filter { $0.first != nil }
    }

    subscript(bucket: Int) -> (address: IPAddress, policy: Int)? {
        var (low, high) = (0, places.count)
        while low < high {
            let middle = (low + high) / 2
            if places[middle].first! <= bucket { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let place = places[low - 1]
        let offset = bucket - place.first!
        guard offset < 1 << place.destination.hostBits else { return nil }
        var bytes = place.destination.address.bytes
        for index in 0..<3 { bytes[bytes.count - 1 - index] |= UInt8(truncatingIfNeeded: offset >> (8 * index)) }
        return (IPAddress(bytes: bytes), place.policy)
    }
}
