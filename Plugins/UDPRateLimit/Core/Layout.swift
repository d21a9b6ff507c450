// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Which bucket is whose: addresses from the bottom of `own_buckets` up, in the order of the configuration, and prefixes
/// from its top down, so that what is added behind moves nobody.
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
        for (index, policy) in configuration.policies.enumerated() {
            for destination in policy.destinations {
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
