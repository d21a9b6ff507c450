// SPDX-License-Identifier: Apache-2.0

import StageKit

@testable import L4LB

/// What is checked from which port of the director, said in plain Swift.
struct ReferenceChecks {
    struct Check {
        var server: IPAddress
        var vip: IPAddress
        var port: Int
    }

    private let checks: [Int: Check]

    init(_ configuration: Configuration) {
        let ports = CheckPorts(configuration)
        var checks: [Int: Check] = [:]
        for pool in configuration.pools {
            guard let check = pool.check, check.to == .vip, check.kind != .dns else { continue }
            for name in pool.servers where name != configuration.local {
                let server = configuration.servers.first { $0.name == name }!
                let service = configuration.services.first {
                    $0.pool == pool.name && $0.protocol == .tcp && $0.ports.contains(check.port)
                        && $0.vip.isIPv4 == server.address.isIPv4
                }!
                let target = CheckTarget(pool: pool.name, server: name, address: server.address)
                for port in ports.way(to: target).source!.ports {
                    checks[Int(port)] = Check(
                        server: server.address, vip: service.vip.address, port: Int(check.port))
                }
            }
        }
        self.checks = checks
    }

    /// Of a packet to the director's own address; nil for no answer to a check.
    func take(_ packet: Window, isIPv4: Bool, frame: [UInt8]) -> ReferenceBalancer.Result? {
        let header = isIPv4 ? 20 : 40
        let isPlain =
            isIPv4
            ? packet[0] == 0x45 && packet[9] == 6 && packet.number16(6) & 0x3fff == 0
            : packet[0] >> 4 == 6 && packet[6] == 6
        guard isPlain, packet.count >= header + 20, let check = checks[packet.number16(header + 2)],
            packet.number16(header) == check.port
        else { return nil }
        let place = isIPv4 ? 12 : 8
        let source = packet.address(place, isIPv4: isIPv4)
        if source == check.server { return .init(verdict: .drop, frame: frame, outcomes: [.checkAstray]) }
        guard source == check.vip else { return nil }
        var answer = frame
        func change(_ checksum: Int) {
            var sum = ~packet.number16(checksum) & 0xffff
            for (before, now) in zip(check.vip.words, check.server.words) { sum += (~before & 0xffff) + now }
            while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
            answer[packet.start + checksum] = UInt8(~sum >> 8 & 0xff)
            answer[packet.start + checksum + 1] = UInt8(~sum & 0xff)
        }
        change(header + 16)
        if isIPv4 { change(10) }
        answer.replaceSubrange(
            packet.start + place..<packet.start + place + check.server.bytes.count, with: check.server.bytes)
        return .init(verdict: .next, frame: answer, outcomes: [.checkAnswer])
    }
}

extension IPAddress {
    fileprivate var words: [Int] {
        stride(from: 0, to: bytes.count, by: 2).map { Int(bytes[$0]) << 8 | Int(bytes[$0 + 1]) }
    }
}
