// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Search trees from addresses to classes: `nodes`, `leaves`, `slices` and `lows` of bpf/volumetric-dos/maps.h.
struct AddressTrees {
    /// `DOS_NODE_KEYS`, `DOS_TREE_DEPTH` and `DOS_LEAF_SLICE`.
    private static let keys = 8
    private static let depth = 5
    private static let sliceMark = 0x8000

    private(set) var nodes: [Bytes] = []
    private(set) var leaves: [Bytes] = []
    private(set) var slices: [Bytes] = []
    private(set) var lows: [Bytes] = []

    /// A `struct dos_tree` for IPv4.
    mutating func v4(_ segments: [Segment]) -> Bytes {
        // The keys of this family are compared as signed numbers.
        tree(segments.map { (UInt64($0.first), $0.class) }, beyond: UInt64(Int64.max))
    }

    /// A `struct dos_tree` for IPv6: by the upper halves, with a slice for each within which classes differ.
    mutating func v6(_ segments: [Segment]) -> Bytes {
        var values: [(first: UInt64, leaf: Int)] = []
        var (index, before) = (0, 0)
        while index < segments.count {
            let high = UInt64(truncatingIfNeeded: segments[index].first >> 64)
            var end = index
            while end < segments.count, UInt64(truncatingIfNeeded: segments[end].first >> 64) == high { end += 1 }
            let group: [(first: UInt64, class: Int)] = segments[index..<end].map {
                (UInt64(truncatingIfNeeded: $0.first), $0.class)
            }
            if group.count == 1, group[0].first == 0 {
                values.append((high, group[0].class))
            } else {
                values.append((high, Self.sliceMark | slice(group, before: before)))
                let next = end < segments.count ? UInt64(truncatingIfNeeded: segments[end].first >> 64) : nil
                if high < .max, next != high + 1 { values.append((high + 1, group[group.count - 1].class)) }
            }
            before = group[group.count - 1].class
            index = end
        }
        return tree(values, beyond: .max)
    }

    /// Appends the intervals within one upper half.
    private mutating func slice(_ group: [(first: UInt64, class: Int)], before: Int) -> Int {
        let start = lows.count
        let intervals: [(first: UInt64, class: Int)] = group[0].first == 0 ? group : [(0, before)] + group
        for (index, interval) in intervals.enumerated() {
            var low = Bytes()
            low.append(index + 1 < intervals.count ? intervals[index + 1].first - 1 : .max)
            low.append(UInt64(interval.class))
            lows.append(low)
        }
        var slice = Bytes()
        slice.append(UInt32(start))
        slice.append(UInt32(intervals.count))
        slices.append(slice)
        return slices.count - 1
    }

    /// - Parameter beyond: What no address is above.
    private mutating func tree(_ values: [(first: UInt64, leaf: Int)], beyond: UInt64) -> Bytes {
        let fan = Self.keys + 1
        var levels: [UInt32] = []
        var spans: [Int] = []
        if values.count > 1 {
            spans = [1]
            while spans[0] * fan < values.count { spans.insert(spans[0] * fan, at: 0) }
        }
        for span in spans {
            levels.append(UInt32(nodes.count))
            for node in 0..<(values.count + span * fan - 1) / (span * fan) {
                var bytes = Bytes()
                for child in 1...Self.keys {
                    // The child before this one ends where it begins.
                    let next = (node * fan + child) * span
                    bytes.append(next < values.count ? values[next].first - 1 : beyond)
                }
                nodes.append(bytes)
            }
        }
        var tree = Bytes()
        tree.append(UInt32(spans.count))
        tree.append(UInt32(values[0].leaf))
        for level in 0..<Self.depth { tree.append(level < levels.count ? levels[level] : 0) }
        tree.append(UInt32(leaves.count))
        if values.count > 1 { appendLeaves(values.map(\.leaf)) }
        return tree
    }

    private mutating func appendLeaves(_ values: [Int]) {
        let fan = Self.keys + 1
        for start in stride(from: 0, to: values.count, by: fan) {
            var leaf = Bytes()
            for place in 0..<12 { leaf.append(UInt16(values[min(start + place, values.count - 1)])) }
            leaves.append(leaf)
        }
    }
}
