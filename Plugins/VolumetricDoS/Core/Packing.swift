// SPDX-License-Identifier: Apache-2.0

internal import StageKit

// What bpf/volumetric-dos/types.h lays out: change both, and the tests will tell.

/// Bits of `known` in `union dos_traits`.
private enum Known {
    static let ports: UInt8 = 1
    static let flags: UInt8 = 2
}

extension Rule {
    /// A `struct dos_rule`.
    var packed: Bytes {
        var known: UInt8 = 0
        if sourcePort != nil || destinationPort != nil { known |= Known.ports }
        if tcpFlags != nil { known |= Known.flags }
        let family: UInt8? = isIPv4.map { $0 ? 4 : 6 }
        let flagsMask = tcpFlags.map { $0.set.union($0.unset).rawValue } ?? 0

        var bytes = Bytes()
        bytes.append(bytes: [family ?? 0, `protocol`?.number ?? 0, tcpFlags?.set.rawValue ?? 0, known])
        bytes.append(bytes: [family == nil ? 0 : 0xff, `protocol` == nil ? 0 : 0xff, flagsMask, known])
        for prefix in [source, destination] {
            bytes.append(bytes: prefix?.packedAddress ?? [UInt8](repeating: 0, count: 16))
            bytes.append(bytes: prefix?.packedMask ?? [UInt8](repeating: 0, count: 16))
        }
        for ports in [sourcePort, destinationPort] {
            bytes.append(UInt16(ports?.first ?? 0))
            bytes.append(UInt16(ports.map { $0.last - $0.first } ?? 65535))
        }
        bytes.append(length?.first ?? 0)
        bytes.append(length.map { $0.last - $0.first } ?? .max)
        bytes.append(UInt32(dryRun ? 1 : 0))
        bytes.append(UInt32(0))
        return bytes
    }
}

extension [Rule] {
    /// `DOS_BLOCK_RULES`.
    private static var blockSize: Int { 16 }

    /// Each a `struct dos_block`.
    var packedBlocks: [Bytes] {
        // A rule of family 255, which no packet meets.
        var filler = Rule().packed
        filler.raw[0] = 0xff
        filler.raw[4] = 0xff
        return stride(from: 0, to: count, by: Self.blockSize).map { start in
            let packed = self[start..<Swift.min(count, start + Self.blockSize)].map(\.packed)
            let fillers = [Bytes](repeating: filler, count: Self.blockSize - packed.count)
            return Bytes((packed + fillers).flatMap(\.raw))
        }
    }
}

extension IPPrefix {
    /// The mask of a `struct dos_address`: what precedes an IPv4 address need not be compared, the family is.
    var packedMask: [UInt8] {
        isIPv4 ? [UInt8](repeating: 0, count: 12) + mask : mask
    }

    /// A `struct dos_address` under ``packedMask``.
    var packedAddress: [UInt8] {
        zip(address.mapped, packedMask).map { $0 & $1 }
    }

    /// A `struct dos_prefix_v4` or `struct dos_prefix_v6`.
    var trieKey: Bytes {
        var key = Bytes()
        key.append(UInt32(length))
        key.append(bytes: address.bytes)
        return key
    }
}

extension PrefixLimit {
    /// The bits of a `struct dos_address` that are an IPv4 prefix: all that maps it, and its own.
    var maskV4: Bytes {
        Bytes([UInt8](repeating: 0xff, count: 12) + IPPrefix("255.255.255.255", length: v4).mask)
    }

    var maskV6: Bytes {
        Bytes(IPPrefix("::", length: v6).mask)
    }
}
