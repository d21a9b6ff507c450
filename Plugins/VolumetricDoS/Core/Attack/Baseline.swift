// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples

/// What usually passes: samples of the quiet seconds, as many of each, up to as many seconds as are to be learnt from.
///
/// It never has more than 65,536 samples of 64 bytes: 4.2 MB.
struct Baseline {
    static let capacity = 65536

    /// How many seconds there may be.
    let longest: Int
    private let samplesPerSecond: Int
    private var kept: [[Observation]] = []
    private var oldest = 0

    init(seconds: Int) {
        longest = seconds
        samplesPerSecond = Self.capacity / seconds
    }

    /// How many there are.
    var seconds: Int { kept.count }

    /// Whether it knows as much as it is to know.
    var isComplete: Bool { kept.count == longest }

    mutating func add(second samples: [Observation]) {
        let chosen = choose(samples)
        if kept.count < longest {
            kept.append(chosen)
        } else {
            kept[oldest] = chosen
            oldest = (oldest + 1) % longest
        }
    }

    func traffic(where isIncluded: (Observation) -> Bool = { _ in true }) -> Traffic {
        var samples: [Observation] = []
        for second in kept { samples += second.lazy.filter(isIncluded) }
        return Traffic(samples: samples, seconds: Double(max(1, kept.count)))
    }

    /// All, or one of every so many packets; each that is chosen then stands for those.
    private func choose(_ samples: [Observation]) -> [Observation] {
        guard samples.count > samplesPerSecond else { return samples }
        let step = samples.packets / Double(samplesPerSecond)
        var chosen: [Observation] = []
        chosen.reserveCapacity(samplesPerSecond)
        var due = step / 2
        var passed = 0.0
        for sample in samples {
            passed += sample.packets
            while due < passed, chosen.count < samplesPerSecond {
                var one = sample
                one.packets = step
                chosen.append(one)
                due += step
            }
        }
        return chosen
    }
}
