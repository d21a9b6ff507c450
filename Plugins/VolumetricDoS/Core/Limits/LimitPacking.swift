// SPDX-License-Identifier: Apache-2.0

internal import StageKit

// What bpf/volumetric-dos/types.h lays out: change both, and the tests will tell.

extension Limit {
    /// Bytes of a `struct dos_limit`.
    static let size = 88
    /// `SLUICE_COST_SHIFT`.
    private static let costShift: UInt64 = 20

    /// Nanoseconds from one packet or byte to the next, times 2^20.
    private var cost: UInt64 { (1_000_000_000 << Self.costShift) / rate }

    /// How many nanoseconds early a packet may come.
    private var tolerance: UInt64 {
        let (high, low) = (burst - 1).multipliedFullWidth(by: cost)
        return high << (64 - Self.costShift) | low >> Self.costShift
    }

    /// How many nanoseconds it can put a bucket off, with a second for clocks that differ and for what a packet costs.
    var furthest: UInt64 { tolerance + 2_000_000_000 }

    /// Tells its buckets from those of other limits, also in the next generation: never 0.
    func id(in place: String) -> UInt32 {
        var hash: UInt32 = 2_166_136_261
        for byte in "\(place) \(label)".utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return max(1, hash)
    }

    /// A `struct dos_limit`.
    /// - Parameter place: Which limit it is: a rule's name, or that it is the stage's.
    func packed(in place: String) -> Bytes {
        var bytes = Bytes()
        bytes.append(id(in: place))
        // In the order of enum sluice_when_full.
        let full = UInt8(WhenFull.allCases.firstIndex(of: whenFull)!)
        bytes.append(bytes: [unit == .bytes ? 1 : 0, full, known.isEmpty ? 0 : 1, 0])
        bytes.append(cost)
        bytes.append(tolerance)
        for (isSource, isIPv4) in [(true, true), (true, false), (false, true), (false, false)] {
            bytes.append(bytes: mask(isSource: isSource, isIPv4: isIPv4))
        }
        return bytes
    }

    /// The bits of a `struct dos_address` that tell buckets apart.
    private func mask(isSource: Bool, isIPv4: Bool) -> [UInt8] {
        let bits: Int
        switch per {
        case .source where isSource, .destination where !isSource, .pair: bits = isIPv4 ? 32 : 128
        case .sourcePrefix where isSource, .destinationPrefix where !isSource: bits = isIPv4 ? v4 : v6
        default: return [UInt8](repeating: 0, count: 16)
        }
        return IPPrefix.mappedMask(length: bits, isIPv4: isIPv4)
    }

    /// Entries of `known`: full buckets.
    func knownEntries(in place: String) -> [MapEntry] {
        known.map { address in
            var key = Bytes()
            key.append(id(in: place))
            key.append(UInt32(0))
            let nothing = [UInt8](repeating: 0, count: 16)
            for part in per == .source ? [address.mapped, nothing] : [nothing, address.mapped] {
                key.append(bytes: part)
            }
            return MapEntry(key: key, value: Bytes([UInt8](repeating: 0, count: 8)))
        }
    }

    /// What ``packed(in:)`` made, as far as that tells: how it is shared, and its rate to within rounding.
    init(packed bytes: Bytes) {
        let (cost, tolerance): (UInt64, UInt64) = (bytes.number(at: 8), bytes.number(at: 16))
        let lengths = (0..<4).map { index in
            bytes.raw[(24 + index * 16)..<(40 + index * 16)].reduce(0) { $0 + $1.nonzeroBitCount }
        }
        let rate = cost == 0 ? 1 : ((1_000_000_000 << Self.costShift) + cost / 2) / cost
        let burst = cost == 0 ? 1 : UInt64(Double(tolerance) / Double(cost) * Double(1 << Self.costShift) + 0.5) + 1
        self.init(bytes.raw[4] == 1 ? .bytes : .packets, perSecond: rate, burst: burst, per: .all)
        whenFull = WhenFull.allCases[min(Int(bytes.raw[5]), WhenFull.allCases.count - 1)]
        switch (lengths[1], lengths[3]) {
        case (0, 0): break
        case (128, 128): per = .pair
        case (128, 0): per = .source
        case (0, 128): per = .destination
        default:
            per = lengths[3] == 0 ? .sourcePrefix : .destinationPrefix
            (v4, v6) = (max(lengths[0], lengths[2]) - 96, max(lengths[1], lengths[3]))
        }
    }
}

extension IPPrefix {
    /// The bits of a `struct dos_address` that are a prefix: for IPv4 all that maps it, and its own.
    static func mappedMask(length: Int, isIPv4: Bool) -> [UInt8] {
        IPPrefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", length: isIPv4 ? 96 + length : length).mask
    }
}
