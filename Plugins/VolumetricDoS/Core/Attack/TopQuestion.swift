// SPDX-License-Identifier: Apache-2.0

internal import StageKit

/// What `sluicectl stats HOOK --stage STAGE --top WHAT` asks.
struct TopQuestion: Decodable {
    enum Subject: String, CaseIterable {
        case sources, destinations
        case sourcePorts = "source-ports"
        case destinationPorts = "destination-ports"
        case protocols, lengths
        case tcpFlags = "tcp-flags"
        case packetTTLs = "packet-ttls"
        case reasons
    }

    static let limits = 1...1000

    let subject: Subject
    /// How many rows at most.
    let limit: Int

    private enum CodingKeys: String, CodingKey {
        case top, limit
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let text = try container.decode(String.self, forKey: .top)
        guard let subject = Subject(rawValue: text) else {
            let known = Subject.allCases.map(\.rawValue).joined(separator: ", ")
            throw StageError("\"\(text)\": expected one of \(known), \(TrafficWatch.proposals)", at: "top")
        }
        self.subject = subject
        limit = try container.decodeIfPresent(Int.self, forKey: .limit) ?? 20
        guard Self.limits.contains(limit) else { throw StageError("\(limit): expected 1 to 1000", at: "limit") }
    }
}
