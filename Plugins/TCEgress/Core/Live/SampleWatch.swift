// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples
public import StageKit

/// What `run` of the stage knows by samples of its packets: those of the last seconds.
///
/// Times are seconds on a clock that does not jump, from 0 on, never less than before.
public struct SampleWatch: Sendable {
    /// What can be asked.
    private enum Subject: String, CaseIterable {
        case sources, destinations
        case destinationPorts = "destination-ports"
        case protocols, classes, dscp, marks, reasons
    }

    private static let seconds = 10.0
    /// What comes earlier may have waited in the ring buffer for who knows how long.
    private static let settled = 1.0

    private let rows: [String]
    private var window = SampleWindow<SampledPacket>()
    /// By class: its samples stand for its packets.
    private var weights: [Int: SampleWeights] = [:]
    private var lost = 0

    public init(_ configuration: Configuration) {
        rows = configuration.classes.map(\.name) + [Configuration.other, Configuration.notIP]
    }

    /// - Parameters:
    ///   - records: As they came from the ring buffer; what is no sample is ignored.
    ///   - lost: How many were thrown away before these.
    public mutating func take(_ records: [Bytes], lost: Int = 0, at time: Double) {
        self.lost += lost
        for record in records {
            let packet = SampledPacket(record) { weights[$0, default: SampleWeights()].weight(cpu: $1, seen: $2) }
            if let packet, time >= Self.settled { window.add(packet, at: time) }
        }
    }

    /// Answers `{"top": "destinations"}` and so on.
    /// - Throws: ``StageError`` that names what can be asked.
    public func answer(_ question: JSON, at time: Double) throws -> StageTable {
        let question = try question.decode(TopQuestion<Subject>.self)
        var table = table(question.subject, question.limit, at: time)
        if lost > 0 { table.notes.append("\(lost) samples were lost since the start") }
        return table
    }

    private func table(_ subject: Subject, _ limit: Int, at time: Double) -> StageTable {
        let ranking = Ranking(window.last(Self.seconds, at: time))
        return switch subject {
        case .sources: ranking.prefixes(of: "source", limit, \.source)
        case .destinations: ranking.prefixes(of: "destination", limit, \.destination)
        case .destinationPorts:
            ranking.table(of: "destination-port", limit) { $0.destinationPort == 0 ? nil : "\($0.destinationPort)" }
        case .protocols:
            ranking.table(of: "protocol", limit) { $0.source == nil ? nil : "\(IPProtocol($0.protocolNumber))" }
        case .classes: ranking.table(of: "class", limit) { $0.row < rows.count ? rows[$0.row] : nil }
        case .dscp: ranking.table(of: "dscp", limit) { $0.source == nil ? nil : "\(CodePoint($0.service >> 2))" }
        case .marks: ranking.table(of: "mark", limit) { "\(Mark($0.mark))" }
        case .reasons: ranking.table(of: "reason", limit) { $0.reason.label }
        }
    }
}
