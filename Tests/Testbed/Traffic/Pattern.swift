// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What connections send: bytes that depend on whose they are and where in its stream, so that it shows when some are
/// lost, come twice, are out of place or somebody else's.
struct Pattern {
    /// A prime: no buffer has a multiple of it.
    private static let period = 65_521
    /// The longest piece there is.
    static let longest = 2048

    private let bytes: [UInt8]

    init() {
        var state: UInt64 = 1
        let start = (0..<Self.period).map { _ -> UInt8 in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
        bytes = start + start.prefix(Self.longest)
    }

    /// A connection's bytes from an offset on, at most ``longest``.
    func withBytes<T>(of connection: Int, from offset: Int, count: Int, _ body: (UnsafeRawBufferPointer) -> T) -> T {
        let start = (connection * 7919 + offset) % Self.period
        return bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[start..<start + count])) }
    }
}
