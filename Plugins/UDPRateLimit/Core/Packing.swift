// SPDX-License-Identifier: Apache-2.0

internal import StageKit

// What bpf/udp-ratelimit/types.h lays out: change both, and the tests will tell.

extension Rate {
    /// `SLUICE_COST_SHIFT`.
    private static let costShift: UInt64 = 20
    /// `UDP_TRAIN`.
    private static let train: UInt64 = 1024

    /// Nanoseconds from one datagram to the next, times 2^20.
    private var cost: UInt64 { (1_000_000_000 << Self.costShift) / packetsPerSecond }

    /// How many nanoseconds early a datagram may come.
    private var tolerance: UInt64 {
        let (high, low) = (burst - 1).multipliedFullWidth(by: cost)
        return high << (64 - Self.costShift) | low >> Self.costShift
    }

    /// How many nanoseconds it can put a bucket off, with a second for clocks that differ.
    var furthest: UInt64 { tolerance + (cost * Self.train) >> Self.costShift + 1_000_000_000 }

    /// A `struct udp_limit`; of nil one that is none.
    static func packed(_ rate: Rate?) -> [UInt8] {
        var bytes = Bytes()
        bytes.append(rate?.cost ?? 0)
        bytes.append(rate?.tolerance ?? 0)
        return bytes.raw
    }

    /// What ``packed(_:)`` made; nil for no limit.
    init?(packed bytes: Bytes, at offset: Int) {
        let (cost, tolerance): (UInt64, UInt64) = (bytes.number(at: offset), bytes.number(at: offset + 8))
        guard cost > 0 else { return nil }
        self.init(
            packetsPerSecond: ((1_000_000_000 << Self.costShift) + cost / 2) / cost,
            burst: UInt64(Double(tolerance) / Double(cost) * Double(1 << Self.costShift) + 0.5) + 1)
    }
}

/// The three limits of a policy, nil where there is none: a `struct udp_limits`.
struct Limits: Equatable {
    var address: Rate?
    var prefix: Rate?
    var source: Rate?

    static let size = 48

    var packed: [UInt8] { [address, prefix, source].flatMap(Rate.packed) }

    init(address: Rate? = nil, prefix: Rate? = nil, source: Rate? = nil) {
        (self.address, self.prefix, self.source) = (address, prefix, source)
    }

    init(packed bytes: Bytes, at offset: Int) {
        address = Rate(packed: bytes, at: offset)
        prefix = Rate(packed: bytes, at: offset + 16)
        source = Rate(packed: bytes, at: offset + 32)
    }

    /// Those of the other in the place of these, where it has any.
    func overridden(by other: Limits) -> Limits {
        Limits(address: other.address ?? address, prefix: other.prefix ?? prefix, source: other.source ?? source)
    }
}

extension Policy {
    /// Bytes of a `struct udp_policy`, and where in it the limits are.
    static let size = 96
    static let limitsOffset = 16

    var limits: Limits { Limits(address: perAddress, prefix: perPrefix, source: perSource?.rate) }

    /// Prefix lengths of sources, also where they have no limit: those that are over another one are told by them.
    private var lengths: (v4: Int, v6: Int) {
        (perSource?.v4 ?? SourceRate.standardV4, perSource?.v6 ?? SourceRate.standardV6)
    }

    /// A `struct udp_policy`.
    var packed: Bytes {
        var bytes = Bytes()
        bytes.append(id)
        bytes.append(mark ?? 0)
        // In the order of enum udp_action.
        let number = UInt8(Action.allCases.firstIndex(of: action)!)
        bytes.append(bytes: [number, UInt8(lengths.v4), UInt8(lengths.v6), 0])
        bytes.append(UInt16((perSource?.from ?? 0) * 256 / 100))
        bytes.append(UInt16(0))
        bytes.append(bytes: limits.packed)
        for length in [96 + lengths.v4, lengths.v6] {
            bytes.append(bytes: IPPrefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", length: length).mask)
        }
        return bytes
    }
}

extension Layout.Place {
    /// A `struct udp_place`.
    private var packed: Bytes {
        var bytes = Bytes()
        bytes.append(UInt32(policy))
        bytes.append(UInt32(first ?? 0))
        bytes.append(UInt32(whole ?? 0))
        bytes.append(first == nil ? UInt32.max : UInt32(destination.hostBits))
        bytes.append(fnv(destination.description))
        return bytes
    }

    /// Its entry in `addresses_v4` or `addresses_v6`, or in `prefixes_v4` or `prefixes_v6`.
    var entry: MapEntry {
        var key = Bytes()
        if !destination.isAddress { key.append(UInt32(destination.length)) }
        key.append(bytes: destination.address.bytes)
        return MapEntry(key: key, value: packed)
    }
}
