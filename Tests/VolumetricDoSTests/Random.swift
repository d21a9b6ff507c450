// SPDX-License-Identifier: Apache-2.0

import StageKit
import StageTesting
import VolumetricDoS

// All from small sets of addresses, ports and lengths, so that rules and packets meet.
extension SeededGenerator {
    mutating func address(isIPv4: Bool) -> IPAddress {
        isIPv4
            ? IPAddress(bytes: [pick([10, 192]), pick([0, 1]), pick([0, 2, 128]), number(0...255)])
            : IPAddress(
                bytes: [0x20, 0x01, 0x0d, 0xb8, 0, pick([0, 1]), 0, pick([0, 0x80])] + [
                    0, 0, 0, 0, 0, 0, pick([0, 9]),
                ]
                    + [number(0...255)])
    }

    mutating func prefix(isIPv4: Bool) -> IPPrefix {
        let length =
            isIPv4 ? pick([0, 1, 7, 8, 9, 16, 23, 24, 25, 31, 32]) : pick([0, 3, 32, 48, 63, 64, 65, 112, 127, 128])
        return IPPrefix(address(isIPv4: isIPv4), length: length)
    }

    mutating func port() -> UInt16 { pick([0, 53, 123, 443, 1024, 4000, 65535]) }

    mutating func range(_ numbers: [UInt32]) -> NumberSet {
        let ranges = (0..<pick([1, 1, 1, 2, 3])).map { _ in
            let ends = [pick(numbers), pick(numbers)].sorted()
            return NumberRange(ends[0], chance(0.5) ? ends[0] : ends[1])
        }
        return NumberSet(ranges)
    }

    mutating func flags() -> TCPFlags { TCPFlags(rawValue: number(0...255)) }

    /// A rule that a configuration may have.
    mutating func rule() -> Rule {
        while true {
            var rule = Rule(action: pick([.drop, .drop, .drop, .pass, .count]), dryRun: chance(0.2))
            let isIPv4 = chance(0.5)
            if chance(0.4) { rule.source = prefix(isIPv4: isIPv4) }
            if chance(0.3) { rule.destination = prefix(isIPv4: isIPv4) }
            if chance(0.4) { rule.protocol = IPProtocol(pick([1, 6, 17, 47, 58, 132, 136, 44, 59])) }
            if chance(0.2) { rule.sourcePort = range([0, 53, 123, 443, 1024, 4000, 65535]) }
            if chance(0.2) { rule.destinationPort = range([0, 53, 123, 443, 1024, 4000, 65535]) }
            if chance(0.15) {
                let set = flags().intersection([.syn, .ack, .rst])
                rule.tcpFlags = FlagsMatch(set: set, unset: flags().intersection([.fin, .psh, .urg]).subtracting(set))
            }
            if chance(0.2) { rule.length = range([0, 28, 40, 48, 60, 100, 468, 1500, 65535]) }
            if chance(0.1) { rule.ttl = range([0, 1, 63, 64, 254, 255]) }
            if chance(0.1) { rule.dscp = range([0, 10, 46, 63]) }
            if chance(0.1) { rule.fragment = pick(Fragment.allCases) }
            if chance(0.1) { rule.vlan = range([0, 1, 7, 100, 4095]) }
            if chance(0.05) { rule.innerVLAN = range([0, 1, 7, 100, 4095]) }
            if chance(0.1) { rule.icmpType = range([0, 3, 8, 128, 129, 255]) }
            if chance(0.05) { rule.icmpCode = range([0, 1, 4, 255]) }
            if chance(0.15) { rule.payload = payload() }
            // Many conditions at once meet nothing: two or three are enough.
            if (try? Configuration(rules: [rule]).plan()) != nil { return rule }
        }
    }

    private mutating func payload() -> PayloadMatch {
        let mask = (0..<number(1...16)).map { _ in pick([0, 0x80, 0xff] as [UInt8]) }
        let bytes = mask.map { $0 & (chance(0.1) ? 0xff : 0) }
        return try! PayloadMatch(offset: pick([0, 1, 6, 30, 425]), bytes: Bytes(bytes), mask: Bytes(mask))
    }

    mutating func configuration() -> Configuration {
        let allow = chance(0.6) ? (0..<number(1...3)).map { _ in prefix(isIPv4: chance(0.5)) } : []
        return Configuration(
            allow: Array(Set(allow.filter { $0.length > 3 })).sorted { $0.description < $1.description },
            dryRun: chance(0.15), malformed: chance(0.3) ? .pass : .drop,
            rules: (0..<(chance(0.05) ? number(60...700) : number(0...20))).map { _ in rule() })
    }

    /// A frame: mostly a proper packet, sometimes cut off, padded or with wrong bytes.
    mutating func frame() -> [UInt8] {
        var frame = Packet.bytes(layers())
        if chance(0.3) { frame.setTrafficClass(pick([10, 46, 63]) << 2 | number(0...3)) }
        if chance(0.15) { frame += [UInt8](repeating: 0, count: number(1...20)) }
        if chance(0.15) { frame = Array(frame.prefix(number(14...max(14, frame.count)))) }
        if chance(0.15) {
            for _ in 0..<number(1...3) { frame[number(12...frame.count - 1)] = number(0...255) }
        }
        return frame
    }

    private mutating func layers() -> [PacketLayer] {
        var layers: [PacketLayer] = [.ethernet(type: chance(0.03) ? number(0...0xffff) : nil)]
        for _ in 0..<pick([0, 0, 0, 0, 1, 2, 3]) {
            layers.append(.vlan(pick([0, 1, 7, 100, 4095]), tag: pick([0x8100, 0x88a8])))
        }
        if chance(0.03) { return layers + [.arp(sender: "192.0.2.1", target: "192.0.2.2")] }
        let isIPv4 = chance(0.5)
        if isIPv4 {
            let offset: UInt16 = chance(0.1) ? number(1...100) : 0
            layers.append(
                .ipv4(
                    from: address(isIPv4: true), to: address(isIPv4: true), next: offset > 0 ? pick([6, 17, 1]) : nil,
                    ttl: pick([0, 1, 63, 64, 255]),
                    options: [UInt8](repeating: 1, count: pick([0, 0, 0, 4, 40])), fragmentOffset: offset,
                    moreFragments: chance(0.1), totalLength: chance(0.03) ? number(0...200) : nil))
        } else {
            layers.append(
                .ipv6(
                    from: address(isIPv4: false), to: address(isIPv4: false), hopLimit: pick([1, 64, 255]),
                    payloadLength: chance(0.03) ? number(0...200) : nil))
            for _ in 0..<pick([0, 0, 0, 0, 1, 2, 7, 8, 9]) {
                switch number(0...4) {
                case 0: layers.append(.fragmentHeader(offset: chance(0.5) ? number(1...100) : 0, more: chance(0.5)))
                case 1: layers.append(.authenticationHeader(bytes: pick([12, 24])))
                default: layers.append(.extensionHeader(pick([0, 43, 60, 135, 139, 140]), bytes: pick([8, 16, 40])))
                }
            }
        }
        switch number(0...9) {
        case 0...3: layers.append(.udp(from: port(), to: port()))
        case 4...6:
            let options = [UInt8](repeating: 1, count: pick([0, 0, 12, 40]))
            layers.append(.tcp(from: port(), to: port(), flags: flags(), options: options))
        case 7: layers.append(.sctp(from: port(), to: port()))
        case 8:
            layers.append(
                isIPv4 != chance(0.1)
                    ? .icmp(type: pick([0, 3, 8]), code: pick([0, 1, 4]))
                    : .icmpv6(type: number(126...139), code: pick([0, 4])))
        default: break
        }
        let payload = [UInt8](repeating: chance(0.8) ? 0 : 0xff, count: pick([0, 0, 7, 18, 32, 440, 1400]))
        return layers + [.payload(payload)]
    }
}

extension [UInt8] {
    /// Of the frame's IP header, if it has one.
    fileprivate mutating func setTrafficClass(_ value: UInt8) {
        var offset = 12
        while count > offset + 4, self[offset] == 0x81 || self[offset] == 0x88 { offset += 4 }
        guard count > offset + 3 else { return }
        switch (self[offset], self[offset + 1]) {
        case (0x08, 0x00): self[offset + 3] = value
        case (0x86, 0xdd):
            self[offset + 2] = 0x60 | value >> 4
            self[offset + 3] = self[offset + 3] & 0x0f | value << 4
        default: break
        }
    }
}
