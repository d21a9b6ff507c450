// SPDX-License-Identifier: Apache-2.0

/// The samples of the last ten seconds, in steps of a quarter of a second.
///
/// Of a step 2048 samples are kept at most (of more, a random choice that stands for all of them), so that it never has
/// more than 40 * 2048 samples: 5.2 MB of 64 bytes each, whatever the traffic.
public struct SampleWindow<Packet: WeighedPacket>: Sendable {
    public static var stepsPerSecond: Int { 4 }
    public static var steps: Int { 40 }
    public static var samplesPerStep: Int { 2048 }

    private struct Step {
        var number = Int.min
        var samples: [Packet] = []
        /// How many came, and how many packets they stood for.
        var taken = 0
        var packets = 0.0

        /// What each sample that was kept stands for more, because others were not.
        var scale: Double {
            taken <= samples.count ? 1 : packets / max(1, samples.packets)
        }
    }

    private var ring = [Step](repeating: Step(), count: steps)
    private var random = SplitMix()
    /// The step of the first sample.
    public private(set) var began: Int?

    public init() {}

    public static func step(at time: Double) -> Int { Int((time * Double(stepsPerSecond)).rounded(.down)) }

    /// - Parameter time: Seconds, never less than before.
    public mutating func add(_ packet: Packet, at time: Double) {
        let number = Self.step(at: time)
        let place = number % Self.steps
        if began == nil { began = number }
        if ring[place].number != number {
            ring[place].samples.removeAll(keepingCapacity: true)
            ring[place].number = number
            (ring[place].taken, ring[place].packets) = (0, 0)
        }
        ring[place].taken += 1
        ring[place].packets += packet.packets
        if ring[place].samples.count < Self.samplesPerStep {
            ring[place].samples.append(packet)
        } else {
            // Each that came is kept with the same probability.
            let other = Int.random(in: 0..<ring[place].taken, using: &random)
            if other < Self.samplesPerStep { ring[place].samples[other] = packet }
        }
    }

    /// The samples of the last `seconds`, without the step that is not over yet. Of less right after the start.
    public func last(_ seconds: Double, at time: Double) -> Traffic<Packet> {
        let newest = Self.step(at: time) - 1
        let count = min(Self.steps - 1, max(1, Int((seconds * Double(Self.stepsPerSecond)).rounded())))
        let oldest = max(newest - count + 1, began ?? newest)
        guard oldest <= newest else { return Traffic(samples: [], seconds: seconds) }
        return Traffic(
            samples: samples(of: oldest...newest), seconds: Double(newest - oldest + 1) / Double(Self.stepsPerSecond))
    }

    /// The samples of some steps, as far as they are still there.
    public func samples(of steps: ClosedRange<Int>) -> [Packet] {
        var samples: [Packet] = []
        for step in ring where steps.contains(step.number) {
            let scale = step.scale
            samples += scale == 1 ? step.samples : step.samples.map { $0.scaled(scale) }
        }
        return samples
    }

    /// How many samples are kept.
    public var count: Int { ring.reduce(0) { $0 + $1.samples.count } }
}

/// SplitMix64; nobody can profit from foreseeing which samples are kept.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64 = 0x5a11_ce5e_ed00_0001

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
