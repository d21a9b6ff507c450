// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// The tunnel's header, a `struct l4lb_gue`: GUE's own four bytes, and who else may know the packet's flow.
struct GUEHeader: Equatable {
    /// `L4LB_HOPS`.
    static let hops = 3
    static let size = 12
    private static let magic: UInt8 = 0x5c
    private static let version: UInt8 = 1

    /// Of what it carries.
    var isIPv4: Bool
    /// Numbers of servers.
    var hops: [UInt16] = []

    var bytes: [UInt8] {
        var bytes = Bytes([UInt8((Self.size - 4) / 4), isIPv4 ? 4 : 41, 0, 0, Self.magic, Self.version << 4])
        for place in 0..<Self.hops { bytes.append(bigEndian: place < hops.count ? hops[place] : 0) }
        return bytes.raw
    }
}
