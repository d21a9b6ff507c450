// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples

/// Finds destinations that more passes to than should: addresses, and prefixes of them where the attack goes to many.
struct Targets {
    let configuration: AutoConfiguration
    let baseline: Baseline

    struct Target {
        let prefix: PrefixBits
        /// Packets a second above which it is one.
        let threshold: Double
    }

    /// A learnt threshold is so many times what is usual, and at least this.
    private static let multiple = 5.0
    private static let floor = 5000.0
    /// A prefix is a target if so many of its addresses are.
    private static let several = 3
    /// At a time; an attack on more is one on their prefix.
    private static let most = 32
    /// Prefixes may get several times what is usual, or what is stated for an address as long as that is not known.
    private static let prefixMultiple = 3.0
    private static let unknownMultiple = 4.0
    private static let fewestSeconds = 10
    /// Of ``PrefixLevels``.
    private static let levels = 0...2

    /// - Parameter passing: Packets of IP that nothing holds.
    func find(_ passing: Traffic) -> [Target] {
        guard configuration.packetsPerSecond != nil || baseline.isComplete else { return [] }
        let least = configuration.packetsPerSecond.map { Double($0) } ?? Self.floor
        guard passing.rate > least else { return [] }
        var rates: [AddressBits: Rate] = [:]
        for sample in passing.samples { rates[sample.destinationAddress, default: Rate()].add(sample) }
        var usual: [AddressBits: Double]?
        var found: [Target] = []
        for level in Self.levels {
            var sums: [PrefixBits: Rate] = [:]
            for (address, rate) in rates { sums[PrefixLevels.prefix(address, level), default: Rate()].add(rate) }
            sums = sums.filter { $0.value.isSurely(above: least * passing.seconds) }
            guard !sums.isEmpty else { continue }
            let known = usual ?? usualRates()
            usual = known
            let over = sums.keys.compactMap { prefix in
                let before = known.reduce(0) { prefix.contains($1.key) ? $0 + $1.value : $0 }
                let threshold = threshold(level, before)
                let isOver = sums[prefix]!.isSurely(above: threshold * passing.seconds)
                return isOver ? Target(prefix: prefix, threshold: threshold) : nil
            }
            for target in over { rates = rates.filter { !target.prefix.contains($0.key) } }
            found += over
            found = merge(found, level + 1)
        }
        return Array(found.sorted { $0.prefix.first.bits < $1.prefix.first.bits }.prefix(Self.most))
    }

    private func threshold(_ level: Int, _ usual: Double) -> Double {
        guard let stated = configuration.packetsPerSecond.map({ Double($0) }) else {
            return max(Self.floor, Self.multiple * usual)
        }
        if level == 0 { return stated }
        return baseline.seconds >= Self.fewestSeconds
            ? max(stated, Self.prefixMultiple * usual) : Self.unknownMultiple * stated
    }

    /// Takes several targets of the level before, of one prefix, for that prefix.
    private func merge(_ targets: [Target], _ level: Int) -> [Target] {
        guard Self.levels.contains(level) else { return targets }
        let groups = Dictionary(grouping: targets) { PrefixLevels.prefix($0.prefix.first, level) }
        return groups.flatMap { prefix, members in
            let close = members.filter { $0.prefix == PrefixLevels.prefix($0.prefix.first, level - 1) }
            guard close.count >= Self.several, let threshold = close.map(\.threshold).min() else { return members }
            return [Target(prefix: prefix, threshold: threshold)]
        }
    }

    private func usualRates() -> [AddressBits: Double] {
        let traffic = baseline.traffic { $0.isIP }
        return traffic.samples.reduce(into: [:]) {
            $0[$1.destinationAddress, default: 0] += $1.packets / traffic.seconds
        }
    }

    /// A number of packets, known by samples.
    private struct Rate {
        var packets = 0.0
        var squares = 0.0

        mutating func add(_ sample: Observation) {
            packets += sample.packets
            squares += sample.packets * sample.packets
        }

        mutating func add(_ other: Rate) {
            packets += other.packets
            squares += other.squares
        }

        /// By more than two standard deviations.
        func isSurely(above packets: Double) -> Bool { self.packets - 2 * squares.squareRoot() > packets }
    }
}
