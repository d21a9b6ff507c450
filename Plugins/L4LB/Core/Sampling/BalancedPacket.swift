// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples
internal import StageKit

/// A sampled packet as it is kept, in 64 bytes; the ring buffer `samples` has it as a `struct l4lb_sample`.
struct BalancedPacket: WeighedPacket, Equatable {
    private var sourceBits: UInt128
    private var destinationBits: UInt128
    var packets: Double
    var sourcePort: UInt16
    var destinationPort: UInt16
    var frameLength: UInt16
    /// Its place in the configuration; nil where it has none.
    private var serviceNumber: UInt16
    /// The number of the server that is asked first, and of that which the packet was sent to; 0 for none.
    var first: UInt16
    var sentTo: UInt16
    var outcome: Outcome
    var `protocol`: UInt8
    var flags: TCPFlags
    private var marks: Marks

    /// `L4LB_SAMPLE_PAIR` and so on.
    struct Marks: OptionSet, Equatable {
        let rawValue: UInt8
        static let byPair = Marks(rawValue: 4)
        static let quoted = Marks(rawValue: 8)
        static let byTunnel = Marks(rawValue: 16)
        static let isIPv6 = Marks(rawValue: 32)
    }

    private static let size = 64
    private static let noService = UInt16.max

    /// Nil for what is no such record.
    /// - Parameter weight: How many packets it stands for, by its CPU and what that has seen.
    init?(_ record: Bytes, weight: (_ cpu: UInt32, _ seen: UInt64) -> Double) {
        let raw = record.raw
        guard raw.count == Self.size, let outcome = Outcome(rawValue: Int(raw[60])) else { return nil }
        packets = weight(record.number(at: 8), record.number())
        frameLength = record.number(at: 12)
        serviceNumber = record.number(at: 14)
        marks = Marks(rawValue: raw[63])
        func bits(_ start: Int) -> UInt128 { raw[start..<start + 16].reduce(0) { $0 << 8 | UInt128($1) } }
        (sourceBits, destinationBits) = (bits(16), bits(32))
        sourcePort = UInt16(bigEndian: record.number(at: 48))
        destinationPort = UInt16(bigEndian: record.number(at: 50))
        first = record.number(at: 52)
        let place = Int(raw[63] & 3)
        sentTo = outcome == .forwarded || outcome == .onward ? record.number(at: 52 + 2 * place) : 0
        self.outcome = outcome
        `protocol` = raw[61]
        flags = TCPFlags(rawValue: raw[62])
    }

    var service: Int? { serviceNumber == Self.noService ? nil : Int(serviceNumber) }

    /// Nil where its headers could not be read.
    var source: AddressBits? { address(sourceBits) }
    var destination: AddressBits? { address(destinationBits) }

    private func address(_ bits: UInt128) -> AddressBits? {
        // That of IPv4 is behind ::ffff:, and to be in front.
        guard bits != 0 else { return nil }
        return marks.contains(.isIPv6)
            ? AddressBits(bits: bits, isIPv4: false) : AddressBits(bits: bits << 96, isIPv4: true)
    }

    var hasPorts: Bool { [6, 17].contains(`protocol`) && !marks.contains(.byPair) }

    /// What is special of how it was read.
    var remarks: [String] {
        [(Marks.byPair, "by addresses"), (.quoted, "ICMP error"), (.byTunnel, "by tunnel")]
            .filter { marks.contains($0.0) }.map(\.1)
    }

    var isDropped: Bool { [.tooBig, .tooBigLimited, .tooBigSilent].contains(outcome) }

    /// As `10.0.0.1:4000`; empty where it could not be read.
    var sourceText: String { source.map { text($0, sourcePort) } ?? "" }
    var destinationText: String { destination.map { text($0, destinationPort) } ?? "" }

    private func text(_ address: AddressBits, _ port: UInt16) -> String {
        let text = address.address.description
        guard hasPorts else { return text }
        return address.isIPv4 ? "\(text):\(port)" : "[\(text)]:\(port)"
    }

    var protocolText: String {
        switch `protocol` {
        case 1: "icmp"
        case 6: "tcp"
        case 17: "udp"
        case 58: "icmpv6"
        default: "\(`protocol`)"
        }
    }
}
