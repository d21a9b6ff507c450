// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples
internal import StageKit

/// A sampled packet as it is kept; the ring buffer `samples` has it as a `struct egress_sample`.
struct SampledPacket: WeighedPacket {
    private static let size = 64

    var packets: Double
    var frameLength: UInt16
    var mark: UInt32
    /// The row of the table of classes.
    var row: Int
    var reason: Reason
    /// Nil of what is no IP, or cannot be read.
    var source: AddressBits?
    var destination: AddressBits?
    var destinationPort: UInt16
    var protocolNumber: UInt8
    var service: UInt8

    var isDropped: Bool { reason.isDrop }

    /// Nil for what is no such record.
    /// - Parameter weight: How many packets it stands for, by its class, its CPU and what that has seen of the class.
    init?(_ record: Bytes, weight: (_ row: Int, _ cpu: UInt32, _ seen: UInt64) -> Double) {
        let raw = record.raw
        guard raw.count == Self.size, let reason = Reason(rawValue: Int(raw[22])) else { return nil }
        row = Int(record.number(at: 20, as: UInt16.self))
        packets = weight(row, record.number(at: 8), record.number())
        frameLength = UInt16(clamping: record.number(at: 12, as: UInt32.self))
        mark = record.number(at: 16)
        self.reason = reason
        let width = raw[23] == 4 ? 4 : 16
        if raw[23] != 0 {
            source = AddressBits(IPAddress(bytes: Array(raw[24..<24 + width])))
            destination = AddressBits(IPAddress(bytes: Array(raw[40..<40 + width])))
        }
        destinationPort = record.number(at: 58)
        protocolNumber = raw[60]
        service = raw[61]
    }
}
