// SPDX-License-Identifier: Apache-2.0

import Glibc
import StageKit
import StageTesting
import TCEgress

let mayLoad = getuid() == 0

extension StageUnderTest {
    static func egress(
        _ configuration: Configuration, isIngress: Bool = false, after earlier: StageUnderTest? = nil
    ) throws -> StageUnderTest {
        let context = PlanContext(hook: isIngress ? "tc-ingress:eth0" : "tc-egress:eth0", stage: "egress")
        return try StageUnderTest(
            configuration.plan(in: context), at: isIngress ? .tcIngress : .tcEgress,
            objects: objects(of: "tc-egress-1_0"),
            sharingStateWith: earlier)
    }

    /// The numbers of a row of the table of classes.
    func row(_ name: String) throws -> [UInt64] {
        let table = plan.counters[1]
        return try table.columns.map { try counter("classes", name, $0)! }
    }
}

extension Configuration {
    init(_ classes: TrafficClass..., change: (inout Configuration) -> Void = { _ in }) {
        self.init()
        self.classes = classes
        change(&self)
    }
}

func datagram(
    from source: IPAddress = "192.0.2.1", to destination: IPAddress = "198.51.100.1", port: UInt16 = 4000,
    payload: Int = 18
) -> [UInt8] {
    Packet.bytes(
        .ethernet(), source.isIPv4 ? .ipv4(from: source, to: destination) : .ipv6(from: source, to: destination),
        .udp(from: 4000, to: port), .payload(payload))
}

/// What is wrong with the checksums of a frame; nil if they are right, or there is none to check.
func wrongChecksum(_ frame: [UInt8]) -> String? {
    guard case .ip(let facts) = Reading(frame) else { return nil }
    let isIPv4 = facts.source.isIPv4
    if isIPv4, internetChecksum(frame[facts.network..<facts.network + Int(frame[facts.network] & 15) * 4]) != 0 {
        return "of the IPv4 header"
    }
    guard facts.protocolNumber == 6, !facts.isFragment else { return nil }
    let end =
        facts.network + (isIPv4 ? Int(frame.word(facts.network + 2)) : 40 + Int(frame.word(facts.network + 4)))
    let segment = Array(frame[facts.transport..<max(facts.transport, end)])
    guard segment.count >= 20 else { return nil }
    var pseudo = Bytes(facts.source.bytes + facts.destination.bytes)
    pseudo.append(bigEndian: UInt16(6))
    pseudo.append(bigEndian: UInt16(segment.count))
    return internetChecksum(pseudo.raw + segment) == 0 ? nil : "of TCP"
}
