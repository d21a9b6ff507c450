// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// A sampled packet, as the ring buffer `samples` has it: `struct dos_sample` of bpf/volumetric-dos/types.h.
public struct PacketSample: Sendable, Equatable {
    /// Packets that its CPU has judged so far.
    public var seen: UInt64
    public var cpu: UInt32
    /// Of the frame; 65535 for all that is longer.
    public var length: UInt16
    public var reason: Reason
    /// What its headers say; nil where there are none of IP.
    public var facts: PacketFacts?

    static let size = 128
    private static let frameOffset = 16

    /// Nil for what is no such record.
    public init?(_ record: Bytes) {
        let raw = record.raw
        guard raw.count == Self.size, let reason = Reason(rawValue: Int(raw[14])) else { return nil }
        let captured = min(Int(raw[15]), raw.count - Self.frameOffset)
        seen = record.number()
        cpu = record.number(at: 8)
        length = record.number(at: 12)
        self.reason = reason
        facts = PacketFacts(captured: Array(raw[Self.frameOffset..<Self.frameOffset + captured]))
    }
}
