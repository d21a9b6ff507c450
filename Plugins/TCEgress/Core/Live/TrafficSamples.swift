// SPDX-License-Identifier: Apache-2.0

public import StageKit

/// The samples of the last ten seconds, and what they say of the traffic. Each stands for the packets of its class that its
/// CPU has seen since the one before.
///
/// Times are seconds on a clock that does not jump.
public struct TrafficSamples: Sendable {
    /// What can be asked for.
    enum Subject: String, CaseIterable {
        case sources, destinations
        case destinationPorts = "destination-ports"
        case protocols, classes, dscp, marks, reasons
    }

    private struct Entry {
        var time: Double
        var packet: SampledPacket
        var packets: Double
    }

    private struct Place: Hashable {
        var cpu: UInt32
        var trafficClass: Int
    }

    private static let seconds = 10.0
    /// The newest ones: 64,000 of some 200 bytes.
    private static let most = 64_000
    /// A gap beyond that is of lost records, and one sample must not speak for all of those.
    private static let heaviest: UInt64 = 1 << 24

    private let names: [String]
    private var entries: [Entry] = []
    private var seen: [Place: UInt64] = [:]
    private var lost = 0
    private var generation = 0

    public init(_ configuration: Configuration) {
        names = configuration.classes.map(\.name) + [Configuration.other, Configuration.notIP]
    }

    /// - Parameter records: As they came from the ring buffer; what is no sample is ignored.
    public mutating func take(_ records: StageRecords, at time: Double) {
        lost += records.lost
        // Each generation counts anew.
        if records.generation != generation { (generation, seen) = (records.generation, [:]) }
        for packet in records.records.lazy.compactMap(SampledPacket.init) {
            let place = Place(cpu: packet.cpu, trafficClass: packet.trafficClass)
            let last = seen.updateValue(packet.seen, forKey: place)
            let packets = last.map { packet.seen > $0 ? min(packet.seen - $0, Self.heaviest) : 1 } ?? 1
            entries.append(Entry(time: time, packet: packet, packets: Double(packets)))
        }
        forget(at: time)
    }

    private mutating func forget(at time: Double) {
        let old = max(entries.prefix { $0.time < time - Self.seconds }.count, entries.count - Self.most)
        if old > 0 { entries.removeFirst(old) }
    }

    /// Answers `{"top": "destinations"}` and so on.
    /// - Throws: ``StageError`` that names what can be asked.
    public mutating func answer(_ question: JSON, at time: Double) throws -> StageTable {
        let question = try question.decode(Question.self)
        forget(at: time)
        var packets: [String: Double] = [:]
        var bytes: [String: Double] = [:]
        for entry in entries {
            guard let key = text(question.subject, of: entry.packet) else { continue }
            packets[key, default: 0] += entry.packets
            bytes[key, default: 0] += entry.packets * Double(entry.packet.length)
        }
        let span = max(1, min(Self.seconds, time - (entries.first?.time ?? time)))
        let rows = packets.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(question.limit).map { key, count in
            [
                JSON.string(key), .integer(Int64((count / span).rounded())),
                .integer(Int64((bytes[key]! * 8 / span).rounded())),
            ]
        }
        var notes = ["of \(entries.count) samples"]
        if lost > 0 { notes.append("\(lost) samples were lost since the start") }
        return StageTable(
            columns: [question.subject.rawValue, "packets/s", "bits/s"], rows: Array(rows), notes: notes)
    }

    private func text(_ subject: Subject, of packet: SampledPacket) -> String? {
        switch subject {
        case .sources: packet.source?.description
        case .destinations: packet.destination?.description
        case .destinationPorts: packet.destinationPort == 0 ? nil : "\(packet.destinationPort)"
        case .protocols: packet.source.map { _ in "\(IPProtocol(packet.protocolNumber))" }
        case .classes: names.indices.contains(packet.trafficClass) ? names[packet.trafficClass] : nil
        case .dscp: packet.source.map { _ in "\(CodePoint(packet.service >> 2))" }
        case .marks: "\(Mark(packet.mark))"
        case .reasons: packet.reason.label
        }
    }

    private struct Question: Decodable {
        let subject: Subject
        let limit: Int

        private enum CodingKeys: String, CodingKey { case top, limit }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            let text = try container.decode(String.self, forKey: .top)
            guard let subject = Subject(rawValue: text) else {
                let known = Subject.allCases.map(\.rawValue).joined(separator: ", ")
                throw StageError("\"\(text)\": expected one of \(known)", at: "top")
            }
            self.subject = subject
            limit = try container.decodeIfPresent(Int.self, forKey: .limit) ?? 20
            guard (1...1000).contains(limit) else { throw StageError("\(limit): expected 1 to 1000", at: "limit") }
        }
    }
}
