// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples

/// Finds prefixes that hold the sources of an attack and leave out bystanders: the widest that have no bystanders in
/// them, each cut down to what the attack really comes from.
struct SourceCover {
    /// Sources in order, and for each how many packets came from those before it.
    private struct Sources {
        let bits: [UInt128]
        let before: [Double]

        init(_ samples: [Observation]) {
            let order = samples.sorted { $0.source < $1.source }
            bits = order.map(\.source)
            before = order.reduce(into: [0]) { $0.append($0.last! + $1.packets) }
        }

        var all: Range<Int> { 0..<bits.count }

        func packets(_ range: Range<Int>) -> Double { before[range.upperBound] - before[range.lowerBound] }

        /// Where those begin that have the bit behind the first `length` set.
        func split(_ range: Range<Int>, at length: Int) -> Int {
            let bit: UInt128 = 1 << (127 - length)
            var (low, high) = (range.lowerBound, range.upperBound)
            while low < high {
                let middle = (low + high) / 2
                if bits[middle] & bit == 0 { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    private let isIPv4: Bool
    private let attackers: Sources
    private let bystanders: Sources
    /// In packets, of the bystanders: what a prefix may hold of them.
    private let tolerated: Double
    private let nearlyAll: Double

    /// Of the attack, parts smaller than this are not worth a rule of their own.
    private static let least = 0.004
    /// A prefix is cut down to as long a one as has this much of its packets: less where bystanders may be among them.
    private static let nearlyAll = (known: 0.995, unknown: 0.97)
    /// So few samples do not say in which half of a prefix the others would be.
    private static let fewestToCut = 10

    /// - Parameter tolerated: Which share of all bystanders a prefix may hold.
    init(_ evidence: Evidence, tolerated: Double) {
        isIPv4 = evidence.attack.samples.first?.isIPv4 ?? true
        attackers = Sources(evidence.attack.samples)
        bystanders = Sources(evidence.bystanders.filter { [isIPv4] in $0.isIPv4 == isIPv4 })
        self.tolerated = tolerated * evidence.bystanderPackets
        nearlyAll = evidence.knowsBystanders ? Self.nearlyAll.known : Self.nearlyAll.unknown
    }

    /// The longest that is used: a host of IPv6 has a whole /64.
    private var longest: Int { isIPv4 ? 32 : 64 }

    /// The prefixes, with the packets of the attack that are in each, most first.
    func prefixes() -> [(prefix: PrefixBits, packets: Double)] {
        var found: [(prefix: PrefixBits, packets: Double)] = []
        cover(0, attackers.all, bystanders.all, &found)
        return found.sorted { $0.packets > $1.packets }
    }

    private func cover(
        _ length: Int, _ range: Range<Int>, _ others: Range<Int>, _ found: inout [(prefix: PrefixBits, packets: Double)]
    ) {
        let packets = attackers.packets(range)
        guard packets > Self.least * attackers.packets(attackers.all) else { return }
        if bystanders.packets(others) <= tolerated {
            found.append((cut(length, range), packets))
        } else if length < longest {
            let middle = attackers.split(range, at: length)
            let other = bystanders.split(others, at: length)
            cover(length + 1, range.lowerBound..<middle, others.lowerBound..<other, &found)
            cover(length + 1, middle..<range.upperBound, other..<others.upperBound, &found)
        }
    }

    private func cut(_ length: Int, _ range: Range<Int>) -> PrefixBits {
        var length = length
        var range = range
        let enough = nearlyAll * attackers.packets(range)
        while length < longest, range.count >= Self.fewestToCut {
            let middle = attackers.split(range, at: length)
            let halves = [range.lowerBound..<middle, middle..<range.upperBound]
            guard let half = halves.first(where: { attackers.packets($0) >= enough }) else { break }
            range = half
            length += 1
        }
        return PrefixBits(AddressBits(bits: attackers.bits[range.lowerBound], isIPv4: isIPv4), length: length)
    }
}
