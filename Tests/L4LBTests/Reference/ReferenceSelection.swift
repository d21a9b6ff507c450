// SPDX-License-Identifier: Apache-2.0

import StageKit

@testable import L4LB

/// Hashes as bpf/l4lb/types.h says, in words of memory.
enum ReferenceHash {
    static func mix(_ words: [UInt64]) -> UInt64 {
        words.dropFirst().reduce(words[0]) { hash, word in
            let product = (hash ^ word) &* 11_400_714_819_323_198_485
            return product ^ (product >> 29)
        }
    }

    /// Bytes as the processor loads them.
    static func word(_ bytes: some Collection<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Of the flow from `source` to `destination`, by its ports and protocol unless it goes by its addresses.
    static func flow(
        _ source: IPAddress, _ destination: IPAddress, ports: (source: Int, destination: Int)?, protocol number: Int,
        _ hashing: Pool.Hash, seed: UInt64
    ) -> UInt64 {
        var words = [seed]
        let withDestination = hashing == .fiveTuple
        if source.isIPv4 {
            words.append(
                word((withDestination ? destination.bytes : [0, 0, 0, 0]) + source.bytes))
        } else {
            for address in withDestination ? [source, destination] : [source] {
                words += [word(address.bytes.prefix(8)), word(address.bytes.suffix(8))]
            }
        }
        if withDestination, let ports {
            let (from, to) = (ports.source, ports.destination)
            words.append(
                word([
                    UInt8(number), 0, UInt8(to >> 8), UInt8(to & 255), UInt8(from >> 8), UInt8(from & 255),
                ]))
        }
        words.append(0)
        return mix(words)
    }
}

/// Which servers a flow is asked of, said in plain Swift.
struct ReferenceSelection {
    enum State: Int { case active, filling, draining, down }

    struct Word {
        var state: State
        var weight: Int
    }

    /// The servers of each entry, best first.
    let table: [[Int]]
    let words: [Int: Word]

    private func isOpen(_ server: Int) -> Bool { [.active, .filling].contains(words[server]!.state) }

    private func isTaking(_ server: Int, _ entry: Int) -> Bool {
        let part = ReferenceHash.mix([0, UInt64(entry * 65536 + server), 0]) / (1 << 49)
        return isOpen(server) && part < UInt64(words[server]!.weight)
    }

    /// - Parameter hops: How many servers besides the owner may be asked.
    func way(_ hash: UInt64, isUDP: Bool, hops: Int) -> [Int] {
        let entry = Int(hash >> 32) & (table.count - 1)
        let ranking = table[entry]
        // Whoever takes new flows, in order; if there are not two of them, others help out.
        var takers = ranking.filter { isTaking($0, entry) }
        for probe in 1...8 where ranking.count == 4 && takers.count < 2 {
            let other = Int((UInt64(entry) + UInt64(probe) * 0x9e37_79b1) % UInt64(table.count))
            for server in table[other] where takers.count < 2 && isTaking(server, other) {
                if !ranking.contains(server), !takers.contains(server) { takers.append(server) }
            }
        }
        let living = ranking.filter { words[$0]!.state != .down }
        guard let owner = takers.first ?? ranking.first(where: isOpen) ?? living.first ?? ranking.first else {
            return []
        }
        let second = takers.dropFirst().prefix(1)
        let above = ranking.contains(owner) ? living.prefix { $0 != owner } : living[...]
        guard !isUDP else {
            let former = Array(above) + (words[owner]!.state == .filling ? Array(second) : [])
            return Array(former.prefix(hops)) + [owner]
        }
        var others = Array(above) + second.filter(ranking.contains)
        others += living.filter { $0 != owner && !others.contains($0) }
        others += second.filter { !ranking.contains($0) }
        return [owner] + others.prefix(hops)
    }
}
