// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// Ports: `443`, `8000-8999`, `1024-`, or several of these.
public struct PortSet: Sendable, Hashable, CustomStringConvertible {
    public let ranges: [ClosedRange<UInt16>]

    public init(_ ranges: ClosedRange<UInt16>...) { self.ranges = ranges }

    /// - Throws: ``StageError`` when one of the texts is no range of ports.
    init(_ texts: [String]) throws(StageError) {
        var found: [ClosedRange<UInt16>] = []
        for text in texts { found.append(try Self.range(text)) }
        guard !found.isEmpty else { throw StageError("expected a port at least") }
        // Those that touch are one, so that few numbers are compared.
        var joined: [ClosedRange<UInt16>] = []
        for range in found.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, Int(range.lowerBound) <= Int(last.upperBound) + 1 {
                joined[joined.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        ranges = joined
    }

    func contains(_ port: UInt16) -> Bool { ranges.contains { $0.contains(port) } }

    private static func range(_ text: String) throws(StageError) -> ClosedRange<UInt16> {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let first = UInt16(ends[0])
        let last = ends.count == 1 ? first : ends[1].isEmpty ? 65535 : UInt16(ends[1])
        guard let first, let last else {
            throw StageError("\"\(text)\": expected a port of 0 to 65535, a range such as 8000-8999 or 1024-, or all")
        }
        guard first <= last else { throw StageError("\"\(text)\": the range ends before it begins") }
        return first...last
    }

    public var description: String {
        ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
    }
}

/// Ports as a configuration has them; nil for `all`.
struct PortChoice: Decodable {
    let ports: PortSet?

    init(from decoder: any Decoder) throws {
        if var container = try? decoder.unkeyedContainer() {
            var texts: [String] = []
            while !container.isAtEnd { texts.append(try container.decode(NumberOrText.self).text) }
            ports = try PortSet(texts)
        } else {
            let text = try NumberOrText(from: decoder).text
            ports = try text == "all" ? nil : PortSet(text.split(separator: ",").map { $0.filter { $0 != " " } })
        }
    }
}
