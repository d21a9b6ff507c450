// SPDX-License-Identifier: Apache-2.0

internal import StageKit

extension Configuration {
    /// - Throws: ``StageError`` for what cannot work.
    func check() throws(StageError) {
        guard (64...16_777_216).contains(buckets), buckets & (buckets - 1) == 0 else {
            throw StageError("\(buckets): expected a power of two of 64 to 16777216", at: "buckets")
        }
        guard (1...Self.maximumPolicies).contains(policies.count) else {
            throw StageError(
                "has \(policies.count) policies; 1 to \(Self.maximumPolicies) are possible", at: "policies")
        }
        var names: [UInt32: String] = [:]
        for (index, policy) in policies.enumerated() {
            do {
                try policy.check()
            } catch {
                throw StageError(error.message, at: "policies[\(index)]" + (error.path.isEmpty ? "" : ".\(error.path)"))
            }
            if let other = names.updateValue(policy.name, forKey: policy.id) {
                throw StageError(
                    other == policy.name
                        ? "\"\(other)\" is another policy's name"
                        : "\"\(policy.name)\" has the same hash as \"\(other)\"; give one of them another name",
                    at: "policies[\(index)].name")
            }
        }
        try checkDestinations()
        try checkSizes()
    }

    private func checkDestinations() throws(StageError) {
        let count = policies.reduce(0) { $0 + $1.destinations.count }
        guard count <= Self.maximumDestinations else {
            throw StageError(
                "have \(count) destinations; at most \(Self.maximumDestinations) are possible: list prefixes, in which "
                    + "each address has its bucket too", at: "policies")
        }
        var owners: [IPPrefix: Int] = [:]
        for (index, policy) in policies.enumerated() {
            for (place, prefix) in policy.destinations.enumerated() {
                guard let other = owners.updateValue(index, forKey: prefix) else { continue }
                throw StageError(
                    other == index
                        ? "\(prefix) is there twice"
                        : "\(prefix) is a destination of policy \"\(policies[other].name)\" too: it can have one policy only",
                    at: "policies[\(index)].destinations[\(place)]")
            }
        }
        try checkNesting()
    }

    /// An address that is in several prefixes belongs to the longest; of one policy nobody could mean that.
    private func checkNesting() throws(StageError) {
        // In this order a prefix stands behind all that it is in.
        let all = policies.indices.flatMap { index in
            policies[index].destinations.indices.map {
                Listed(policies[index].destinations[$0], policy: index, place: $0)
            }
        }.sorted { ($0.bits, $0.first, $0.length) < ($1.bits, $1.first, $1.length) }
        var around: [Listed] = []
        for prefix in all {
            while let last = around.last, !last.contains(prefix) { around.removeLast() }
            if let wider = around.last(where: { $0.policy == prefix.policy }) {
                let destinations = policies[prefix.policy].destinations
                throw StageError(
                    "\(destinations[prefix.place]) is in \(destinations[wider.place]) of the same policy; leave one of them "
                        + "out", at: "policies[\(prefix.policy)].destinations[\(prefix.place)]")
            }
            around.append(prefix)
        }
    }

    private func checkSizes() throws(StageError) {
        var total = 0
        for (index, policy) in policies.enumerated() {
            for (place, prefix) in policy.destinations.enumerated() {
                total += policy.perPrefix == nil ? 0 : 1
                if policy.buckets == .own, prefix.hostBits <= 20 { total += 1 << prefix.hostBits }
                guard policy.buckets == .shared || prefix.hostBits <= 20, total <= Self.maximumOwnBuckets else {
                    let many =
                        prefix.hostBits <= 20
                        ? "with \(prefix) it is \(total) buckets" : "\(prefix) has 2^\(prefix.hostBits) addresses"
                    throw StageError(
                        "\(many); at most \(Self.maximumOwnBuckets) are possible of addresses with buckets of their own: "
                            + "list what is served, or say `buckets: shared`",
                        at: "policies[\(index)].destinations[\(place)]")
                }
            }
        }
    }
}

/// A prefix among those of all policies.
private struct Listed {
    /// Of its addresses.
    let bits: Int
    let first: UInt128
    let length: Int
    let policy: Int
    let place: Int

    init(_ prefix: IPPrefix, policy: Int, place: Int) {
        bits = prefix.address.bytes.count * 8
        first = prefix.address.bytes.reduce(0) { $0 << 8 | UInt128($1) }
        length = prefix.length
        (self.policy, self.place) = (policy, place)
    }

    func contains(_ other: Listed) -> Bool {
        bits == other.bits && length <= other.length && (first ^ other.first) >> UInt128(bits - length) == 0
    }
}

extension IPPrefix {
    /// How many bits tell its addresses apart.
    var hostBits: Int { address.bytes.count * 8 - length }

    /// An address alone.
    var isAddress: Bool { hostBits == 0 }
}
