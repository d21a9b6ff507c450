// SPDX-License-Identifier: Apache-2.0

/// A sampled packet, as it is kept.
public protocol WeighedPacket: Sendable {
    /// How many packets it stands for.
    var packets: Double { get set }
    /// In bytes.
    var frameLength: UInt16 { get }
    var isDropped: Bool { get }
}

extension WeighedPacket {
    @inlinable
    func scaled(_ factor: Double) -> Self {
        var scaled = self
        scaled.packets *= factor
        return scaled
    }
}

extension Array where Element: WeighedPacket {
    /// How many packets they stand for.
    @inlinable public var packets: Double { reduce(0) { $0 + $1.packets } }
}

/// Samples, and the time they are from.
public struct Traffic<Packet: WeighedPacket>: Sendable {
    public var samples: [Packet]
    public var seconds: Double

    @inlinable
    public init(samples: [Packet], seconds: Double) {
        self.samples = samples
        self.seconds = seconds
    }

    /// Packets a second.
    @inlinable public var rate: Double { samples.packets / seconds }

    @inlinable
    public func filter(_ isIncluded: (Packet) -> Bool) -> Traffic {
        Traffic(samples: samples.filter(isIncluded), seconds: seconds)
    }
}
