// SPDX-License-Identifier: Apache-2.0

internal import PacketSamples
internal import StageKit

/// What can be asked of the samples.
enum TopSubject: String, CaseIterable {
    case sources, destinations
    case sourcePorts = "source-ports"
    case destinationPorts = "destination-ports"
    case protocols, lengths
    case tcpFlags = "tcp-flags"
    case packetTTLs = "packet-ttls"
    case reasons
    /// Of auto mode.
    case proposals
}

extension Ranking<Observation> {
    /// Nil for what samples do not say.
    func table(_ subject: TopSubject, _ limit: Int) -> StageTable? {
        switch subject {
        case .sources: prefixes(of: "source", limit) { $0.isIP ? $0.sourceAddress : nil }
        case .destinations: prefixes(of: "destination", limit) { $0.isIP ? $0.destinationAddress : nil }
        case .sourcePorts: table(of: "source-port", limit) { $0.port(.sourcePort) }
        case .destinationPorts: table(of: "destination-port", limit) { $0.port(.destinationPort) }
        case .protocols: table(of: "protocol", limit) { $0.isIP ? IPProtocol($0.protocol).description : nil }
        case .lengths: table(of: "length", limit) { $0.value(.length).map(String.init) }
        case .tcpFlags:
            table(of: "tcp-flags", limit) { $0.value(.tcpFlags).map { TCPFlags(rawValue: UInt8($0)).text } }
        case .packetTTLs: table(of: "packet-ttl", limit) { $0.value(.ttl).map(String.init) }
        case .reasons: table(of: "reason", limit) { Reason(rawValue: Int($0.reason))?.label }
        case .proposals: nil
        }
    }
}

extension Observation {
    var isIP: Bool { family != 0 }

    /// As `udp/53`.
    fileprivate func port(_ feature: Feature) -> String? {
        value(feature).map { "\(IPProtocol(`protocol`))/\($0)" }
    }
}
