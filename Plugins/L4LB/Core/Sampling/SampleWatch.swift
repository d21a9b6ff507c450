// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples
internal import StageKit

/// What `run` of the stage knows by samples of its packets: those of the last seconds.
///
/// Times are seconds on a clock that does not jump, from 0 on, never less than before.
struct SampleWatch: Sendable {
    /// What can be asked.
    private enum Subject: String, CaseIterable {
        case samples, flows, sources, destinations, services, servers, verdicts
        /// Not of the samples, but it can be asked.
        case checks
    }

    private typealias Question = TopQuestion<Subject>

    private struct Newest {
        var packet: BalancedPacket
        var time: Double
    }

    /// A row of `flows`.
    private struct FlowKey: Hashable {
        var source: String
        var destination: String
        var `protocol`: String
        var service: String
        var server: String

        var cells: [String] { [source, destination, `protocol`, service, server] }
    }

    private static let seconds = 10.0
    /// What comes earlier may have waited in the ring buffer for who knows how long.
    private static let settled = 1.0
    /// As many as can be asked for.
    private static let newestKept = 1000

    private let services: [String]
    private let servers: [Int: String]
    private let isSampling: Bool
    private var window = SampleWindow<BalancedPacket>()
    private var weights = SampleWeights()
    private var newest: [Newest] = []
    private var lost = 0

    init(_ configuration: Configuration1_1) {
        services = configuration.base.services.map(\.name)
        servers = Dictionary(
            configuration.base.servers.map { ($0.number, $0.name) }, uniquingKeysWith: { first, _ in first })
        isSampling = configuration.sampling != nil
    }

    /// - Parameters:
    ///   - records: As they came from the ring buffer; what is no sample is ignored.
    ///   - lost: How many were thrown away before these.
    mutating func take(_ records: [Bytes], lost: Int = 0, at time: Double) {
        self.lost += lost
        for record in records {
            let packet = BalancedPacket(record) { weights.weight(cpu: $0, seen: $1) }
            guard let packet, time >= Self.settled else { continue }
            window.add(packet, at: time)
            newest.append(Newest(packet: packet, time: time))
        }
        // Now and then, not for each of them.
        if newest.count > 2 * Self.newestKept { newest.removeFirst(newest.count - Self.newestKept) }
    }

    /// Answers `{"top": "flows"}` and so on; nil for what samples do not say, that is checks.
    /// - Throws: ``StageError`` that names what can be asked.
    func answer(_ question: JSON, at time: Double) throws -> StageTable? {
        let question = try question.decode(Question.self)
        guard isSampling || question.subject == .checks else {
            throw StageError("the stage's configuration has no `sample`, so there are none; only checks", at: "top")
        }
        guard var table = table(question.subject, question.limit, at: time) else { return nil }
        if lost > 0 { table.notes.append("\(lost) samples were lost since the start") }
        return table
    }

    private func table(_ subject: Subject, _ limit: Int, at time: Double) -> StageTable? {
        let ranking = Ranking(window.last(Self.seconds, at: time))
        return switch subject {
        case .samples: samples(limit, at: time)
        case .flows:
            ranking.table(
                of: ["source", "destination", "protocol", "service", "first"], limit, flow, text: \.cells)
        case .sources: ranking.prefixes(of: "source", limit, \.source)
        case .destinations: ranking.prefixes(of: "destination", limit, \.destination)
        case .services: ranking.table(of: "service", limit, service)
        case .servers: ranking.table(of: "first", limit) { name($0.first) }
        case .verdicts: ranking.table(of: "verdict", limit) { $0.outcome.label }
        case .checks: nil
        }
    }

    private func flow(_ packet: BalancedPacket) -> FlowKey? {
        guard packet.source != nil else { return nil }
        return FlowKey(
            source: packet.sourceText, destination: packet.destinationText, protocol: packet.protocolText,
            service: service(packet) ?? "", server: name(packet.first) ?? "")
    }

    private func service(_ packet: BalancedPacket) -> String? {
        packet.service.map { $0 < services.count ? services[$0] : "\($0)" }
    }

    private func name(_ server: UInt16) -> String? { server == 0 ? nil : servers[Int(server)] ?? "\(server)" }

    /// How many samples there are; for tests of the bound.
    var kept: (window: Int, newest: Int) { (window.count, newest.count) }

    /// The newest first.
    private func samples(_ limit: Int, at time: Double) -> StageTable {
        StageTable(
            columns: [
                "age", "verdict", "service", "first", "sent-to", "source", "destination", "protocol", "tcp-flags",
                "length", "packets", "remarks",
            ],
            rows: newest.suffix(limit).reversed().map { sample in
                let packet = sample.packet
                let tenths = Int(((time - sample.time) * 10).rounded())
                let cells: [String] = [
                    "\(tenths / 10).\(tenths % 10)s", packet.outcome.label, service(packet) ?? "",
                    name(packet.first) ?? "", name(packet.sentTo) ?? "", packet.sourceText, packet.destinationText,
                    packet.source == nil ? "" : packet.protocolText, packet.protocol == 6 ? packet.flags.text : "",
                ]
                return cells.map { .string($0) } + [
                    .integer(Int64(packet.frameLength)), .integer(Int64(packet.packets)),
                    .string(packet.remarks.joined(separator: ", ")),
                ]
            })
    }
}
