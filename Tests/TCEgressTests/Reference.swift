// SPDX-License-Identifier: Apache-2.0

import StageKit
import TCEgress

/// What a packet says, read the slow way.
struct Facts {
    var source: IPAddress
    var destination: IPAddress
    var protocolNumber: UInt8
    var ports: (source: UInt16, destination: UInt16)?
    var icmpType: UInt8?
    var isFragment = false
    var isLaterFragment = false
    var hopLimit: UInt8
    var service: UInt8
    /// Where the IP header and the transport's begin.
    var network: Int
    var transport: Int
}

enum Reading {
    case notIP
    case broken
    case ip(Facts)

    /// A frame, from the Ethernet header on.
    init(_ frame: [UInt8]) {
        guard frame.count >= 14 else { self = .broken; return }
        var offset = 14
        var type = frame.word(12)
        for _ in 0..<2 where type == 0x8100 || type == 0x88a8 {
            guard frame.count >= offset + 4 else { self = .broken; return }
            type = frame.word(offset + 2)
            offset += 4
        }
        switch type {
        case 0x0800: self = Self.v4(frame, offset)
        case 0x86dd: self = Self.v6(frame, offset)
        default: self = .notIP
        }
    }

    private static func v4(_ frame: [UInt8], _ start: Int) -> Reading {
        guard frame.count >= start + 20, frame[start] >> 4 == 4, frame[start] & 15 >= 5 else { return .broken }
        let (header, total) = (Int(frame[start] & 15) * 4, Int(frame.word(start + 2)))
        guard total >= header, start + total <= frame.count else { return .broken }
        let fragment = frame.word(start + 6) & 0x3fff
        return transport(
            frame,
            Facts(
                source: IPAddress(bytes: Array(frame[(start + 12)..<(start + 16)])),
                destination: IPAddress(bytes: Array(frame[(start + 16)..<(start + 20)])),
                protocolNumber: frame[start + 9], isFragment: fragment != 0, isLaterFragment: fragment & 0x1fff != 0,
                hopLimit: frame[start + 8], service: frame[start + 1], network: start, transport: start + header))
    }

    private static func v6(_ frame: [UInt8], _ start: Int) -> Reading {
        guard frame.count >= start + 40, frame[start] >> 4 == 6,
            start + 40 + Int(frame.word(start + 4)) <= frame.count
        else { return .broken }
        var facts = Facts(
            source: IPAddress(bytes: Array(frame[(start + 8)..<(start + 24)])),
            destination: IPAddress(bytes: Array(frame[(start + 24)..<(start + 40)])),
            protocolNumber: frame[start + 6], hopLimit: frame[start + 7],
            service: frame[start] << 4 | frame[start + 1] >> 4, network: start, transport: start + 40)
        let extensions: Set<UInt8> = [0, 43, 44, 51, 60, 135, 139, 140]
        var count = 0
        while extensions.contains(facts.protocolNumber), !facts.isLaterFragment {
            guard count < 8, frame.count >= facts.transport + 4 else { return .broken }
            let (next, length) = (frame[facts.transport], Int(frame[facts.transport + 1]))
            switch facts.protocolNumber {
            case 44:
                let word = frame.word(facts.transport + 2)
                if word & 0xfff9 != 0 { facts.isFragment = true }
                facts.isLaterFragment = word >> 3 != 0
                facts.transport += 8
            case 51: facts.transport += (length + 2) * 4
            default: facts.transport += (length + 1) * 8
            }
            facts.protocolNumber = next
            count += 1
        }
        return transport(frame, facts)
    }

    private static func transport(_ frame: [UInt8], _ facts: Facts) -> Reading {
        var facts = facts
        guard !facts.isLaterFragment else { return .ip(facts) }
        let hasPorts = [6, 17, 132, 136].contains(facts.protocolNumber)
        guard hasPorts || [1, 58].contains(facts.protocolNumber) else { return .ip(facts) }
        guard frame.count >= facts.transport + 4 else { return .broken }
        if hasPorts {
            facts.ports = (frame.word(facts.transport), frame.word(facts.transport + 2))
        } else {
            facts.icmpType = frame[facts.transport]
        }
        return .ip(facts)
    }
}

extension [UInt8] {
    func word(_ offset: Int) -> UInt16 { UInt16(self[offset]) << 8 | UInt16(self[offset + 1]) }
}

extension Facts {
    var isNeighbourDiscovery: Bool {
        guard protocolNumber == 58, !source.isIPv4, hopLimit == 255, !isFragment, let icmpType else { return false }
        return (133...137).contains(icmpType)
    }

    /// Whether it may leave though its source is nobody's.
    var needsNoPrefix: Bool {
        if source.isIPv4 {
            guard source.bytes == [0, 0, 0, 0], protocolNumber == 17, let ports else { return false }
            return ports.source == 68 && ports.destination == 67
        }
        if source.bytes[0] == 0xfe, source.bytes[1] & 0xc0 == 0x80 { return true }
        guard source.bytes.allSatisfy({ $0 == 0 }), protocolNumber == 58, let icmpType else { return false }
        return [131, 132, 133, 135, 143].contains(icmpType)
    }

    func meets(_ conditions: Conditions, mark: UInt32) -> Bool {
        func port(_ wanted: Ports?, _ port: UInt16?) -> Bool {
            wanted.map { wanted in port.map(wanted.contains) ?? false } ?? true
        }
        return (conditions.source.isEmpty || conditions.source.contains { $0.contains(source) })
            && (conditions.destination.isEmpty || conditions.destination.contains { $0.contains(destination) })
            && (conditions.protocols.isEmpty || conditions.protocols.contains { $0.number == protocolNumber })
            && port(conditions.sourcePort, ports?.source) && port(conditions.destinationPort, ports?.destination)
            && (conditions.marks.isEmpty || conditions.marks.contains { mark & $0.mask == $0.value })
    }
}

/// What a configuration means, without limits.
struct Reference {
    let configuration: Configuration
    let isIngress: Bool

    struct Judgement: Equatable {
        var reason: Reason
        /// The row of the table of classes.
        var row: Int
        var block: String?
    }

    func judge(_ frame: [UInt8], mark: UInt32) -> Judgement {
        let other = configuration.classes.count
        switch Reading(frame) {
        case .notIP: return Judgement(reason: .notIP, row: other + 1)
        case .broken:
            return Judgement(reason: configuration.sourceGuard.isEmpty ? .malformedPassed : .malformed, row: other)
        case .ip(let facts): return judge(facts, mark: mark)
        }
    }

    private func judge(_ facts: Facts, mark: UInt32) -> Judgement {
        let other = configuration.classes.count
        if !configuration.sourceGuard.isEmpty, !facts.needsNoPrefix,
            !configuration.sourceGuard.contains(where: { $0.contains(facts.source) })
        {
            return Judgement(reason: .spoofed, row: other)
        }
        let remote = isIngress ? facts.source : facts.destination
        let allowed = configuration.allow.contains { $0.contains(remote) }
        // The longest prefix says why.
        let blocks = configuration.block.flatMap { block in block.prefixes.map { ($0, block.reason) } }
            .filter { $0.0.contains(remote) }
        if !allowed, !facts.isNeighbourDiscovery, let block = blocks.max(by: { $0.0.length < $1.0.length }) {
            return Judgement(reason: .blocked, row: other, block: block.1)
        }
        let isControl =
            facts.isNeighbourDiscovery
            || configuration.control.contains { control in
                control.conditions(isIngress: isIngress).contains { facts.meets($0, mark: mark) }
            }
        return Judgement(
            reason: allowed ? .allowed : isControl ? .control : .passed,
            row: configuration.classes.firstIndex { facts.meets($0.conditions, mark: mark) } ?? other)
    }
}
