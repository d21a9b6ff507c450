// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// From ports to what matches by them: the upper byte has a page, which has a set for each lower byte. Pages and sets that
/// are alike are there once.
struct PortTables {
    private var rows: [UInt32] = []
    private var pages: [[UInt16]] = []
    private var pageNumbers: [[UInt16]: UInt32] = [:]
    private var sets: [Bits] = []
    private var setNumbers: [Bits: UInt16] = [:]

    /// - Parameters:
    ///   - source: What each thing that can be matched asks of the source port, by its number; nil for nothing.
    ///   - destination: Likewise.
    init(source: [Ports?], destination: [Ports?]) {
        // Packets without ports have the first two sets.
        let others = [source, destination].map { asked in Bits(asked.indices.filter { asked[$0] == nil }) }
        sets = others
        for (asked, others) in zip([source, destination], others) { add(asked, others) }
    }

    private mutating func add(_ asked: [Ports?], _ others: Bits) {
        // Where something begins or ends to match.
        var begins: [Int: [Int]] = [:]
        var ends: [Int: [Int]] = [:]
        for (number, ports) in asked.enumerated() {
            for range in ports?.ranges ?? [] {
                begins[Int(range.lowerBound), default: []].append(number)
                ends[Int(range.upperBound) + 1, default: []].append(number)
            }
        }
        let changing = Set((Array(begins.keys) + ends.keys).map { $0 >> 8 })
        var now = others
        var number = self.number(of: now)
        for high in 0..<256 {
            guard changing.contains(high) else {
                rows.append(self.number(of: [UInt16](repeating: number, count: 256)))
                continue
            }
            var page: [UInt16] = []
            page.reserveCapacity(256)
            for port in (high << 8)..<((high + 1) << 8) {
                if begins[port] != nil || ends[port] != nil {
                    for number in ends[port] ?? [] { now.remove(number) }
                    for number in begins[port] ?? [] { now.insert(number) }
                    number = self.number(of: now)
                }
                page.append(number)
            }
            rows.append(self.number(of: page))
        }
    }

    private mutating func number(of set: Bits) -> UInt16 {
        if let number = setNumbers[set] { return number }
        sets.append(set)
        setNumbers[set] = UInt16(sets.count - 1)
        return UInt16(sets.count - 1)
    }

    private mutating func number(of page: [UInt16]) -> UInt32 {
        if let number = pageNumbers[page] { return number }
        pages.append(page)
        pageNumbers[page] = UInt32(pages.count - 1)
        return UInt32(pages.count - 1)
    }

    var maps: [String: MapPlan] {
        [
            "port_rows": MapPlan(entries: array(rows.map { Bytes(number: $0) }), freeze: true),
            "port_pages": MapPlan(
                maxEntries: UInt32(pages.count),
                entries: array(
                    pages.map { page in
                        var bytes = Bytes()
                        for set in page { bytes.append(set) }
                        return bytes
                    }), freeze: true),
            "port_sets": MapPlan(maxEntries: UInt32(sets.count), entries: array(sets.map(\.bytes)), freeze: true),
        ]
    }
}

/// The entries of an array.
func array(_ values: [Bytes]) -> [MapEntry] {
    values.enumerated().map { MapEntry(key: Bytes(number: UInt32($0)), value: $1) }
}
