// SPDX-License-Identifier: Apache-2.0

internal import StageKit

// What bpf/volumetric-dos/types.h lays out: change both, and the tests will tell.

extension IPPrefix {
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
