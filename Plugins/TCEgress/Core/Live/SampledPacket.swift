// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// A `struct egress_sample`: what the program tells of one packet.
struct SampledPacket: Equatable {
    static let size = 64

    /// How many packets of the class the CPU has seen.
    var seen: UInt64
    var cpu: UInt32
    var length: UInt32
    var mark: UInt32
    var trafficClass: Int
    var reason: Reason
    /// Nil of what is no IP, or cannot be read.
    var source: IPAddress?
    var destination: IPAddress?
    var sourcePort: UInt16
    var destinationPort: UInt16
    var protocolNumber: UInt8
    var service: UInt8

    /// Nil for what is no sample.
    init?(_ bytes: Bytes) {
        guard bytes.raw.count == Self.size, let reason = Reason(rawValue: Int(bytes.raw[22])) else { return nil }
        seen = bytes.number(at: 0)
        cpu = bytes.number(at: 8)
        length = bytes.number(at: 12)
        mark = bytes.number(at: 16)
        trafficClass = Int(bytes.number(at: 20, as: UInt16.self))
        self.reason = reason
        let width = bytes.raw[23] == 4 ? 4 : 16
        if bytes.raw[23] != 0 {
            source = IPAddress(bytes: Array(bytes.raw[24..<(24 + width)]))
            destination = IPAddress(bytes: Array(bytes.raw[40..<(40 + width)]))
        }
        sourcePort = bytes.number(at: 56)
        destinationPort = bytes.number(at: 58)
        protocolNumber = bytes.raw[60]
        service = bytes.raw[61]
    }
}
