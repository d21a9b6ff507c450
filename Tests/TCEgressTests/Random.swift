// SPDX-License-Identifier: Apache-2.0

import StageKit
import StageTesting
import TCEgress

// All from small sets of addresses, ports and marks, so that classes and packets meet.
extension SeededGenerator {
    mutating func address(isIPv4: Bool) -> IPAddress {
        if chance(0.05) { return isIPv4 ? "0.0.0.0" : pick(["::", "fe80::1", "febf::9"]) }
        return isIPv4
            ? IPAddress(bytes: [pick([10, 192]), pick([0, 1]), pick([0, 2, 128]), number(0...255)])
            : IPAddress(
                bytes: [0x20, 0x01, 0x0d, 0xb8, 0, pick([0, 1]), 0, pick([0, 0x80])] + [0, 0, 0, 0, 0, 0]
                    + [pick([0, 9]), number(0...255)])
    }

    mutating func prefix() -> IPPrefix {
        let isIPv4 = chance(0.5)
        let lengths = isIPv4 ? [0, 1, 7, 8, 9, 16, 23, 24, 25, 31, 32] : [0, 3, 32, 48, 63, 64, 65, 112, 127, 128]
        return IPPrefix(address(isIPv4: isIPv4), length: pick(lengths))
    }

    mutating func prefixes(_ most: Int) -> [IPPrefix] {
        var seen: Set<IPPrefix> = []
        return (0..<number(1...most)).map { _ in prefix() }.filter { seen.insert($0).inserted }
    }

    mutating func port() -> UInt16 { pick([0, 22, 53, 67, 68, 179, 255, 256, 443, 1024, 65535]) }

    mutating func ports() -> Ports {
        Ports(
            (0..<pick([1, 1, 2])).map { _ in
                let ends = [port(), port()].sorted()
                return ends[0]...(chance(0.5) ? ends[0] : ends[1])
            })
    }

    mutating func mark() -> Mark {
        pick([Mark(7), Mark(0), Mark(0x10, mask: 0xf0), Mark(0, mask: 1), Mark(1, mask: 1)])
    }

    mutating func trafficClass(_ name: String) -> TrafficClass {
        var found = TrafficClass(name)
        if chance(0.3) { found.conditions.source = prefixes(3) }
        if chance(0.4) { found.conditions.destination = prefixes(3) }
        if chance(0.3) { found.conditions.protocols = [IPProtocol(pick([1, 6, 17, 47, 58, 132, 136]))] }
        if chance(0.2) { found.conditions.sourcePort = ports() }
        if chance(0.3) { found.conditions.destinationPort = ports() }
        if found.conditions.sourcePort != nil || found.conditions.destinationPort != nil {
            found.conditions.protocols.removeAll { ![6, 17, 132, 136].contains($0.number) }
        }
        if chance(0.3) { found.conditions.marks = (0..<pick([1, 1, 2])).map { _ in mark() } }
        if chance(0.3) { found.set.dscp = CodePoint(pick([0, 8, 46, 63])) }
        if chance(0.2) { found.set.mark = pick([Mark(3), Mark(0x20, mask: 0xf0)]) }
        if chance(0.3), found.conditions.protocols.isEmpty { found.set.mss = pick([536, 1220, 1400]) }
        return found
    }

    mutating func configuration(isIngress: Bool) -> Configuration {
        var found = Configuration()
        if chance(0.4), !isIngress { found.sourceGuard = prefixes(4) }
        if chance(0.4) { found.allow = prefixes(3) }
        if chance(0.5) {
            var seen: Set<IPPrefix> = []
            found.block = ["abuse", "sanctions", "bogon"].map { reason in
                .init(prefixes(6).filter { seen.insert($0).inserted }, reason: reason)
            }
        }
        if chance(0.4) {
            found.control = [
                .named("bgp"), .named("ssh"), .named("icmp"),
                .custom(protocol: .udp, port: Ports(53), remote: chance(0.5) ? prefixes(2) : []),
            ]
        }
        let count = pick([0, 1, 3, 10, 80, 190])
        found.classes = (0..<count).map { trafficClass("c\($0)") }
        return found
    }

    /// A frame that a test run takes: it wants room for the header that the Ethernet type speaks of.
    mutating func frame() -> [UInt8] {
        while true {
            let frame = anyFrame()
            let least = [0x0800: 34, 0x86dd: 54][Int(frame.word(12))] ?? 15
            if frame.count >= least { return frame }
        }
    }

    /// Mostly a proper packet, sometimes cut off, padded or with wrong bytes.
    private mutating func anyFrame() -> [UInt8] {
        var frame = Packet.bytes(layers())
        if chance(0.15) { frame += [UInt8](repeating: 0, count: number(1...20)) }
        if chance(0.15) { frame = Array(frame.prefix(number(14...max(14, frame.count)))) }
        if chance(0.15) {
            for _ in 0..<number(1...3) { frame[number(12...frame.count - 1)] = number(0...255) }
        }
        return frame
    }

    /// TCP options with a segment size at an odd or an even place.
    private mutating func options() -> [UInt8] {
        let size = pick([[2, 4, 0x05, 0xb4], [2, 4, 0x02, 0x00], [2, 4, 0xff, 0xff], [2, 3, 0], []] as [[UInt8]])
        var options: [UInt8] = [UInt8](repeating: 1, count: pick([0, 1, 2])) + (chance(0.3) ? [3, 3, 7] : []) + size
        if chance(0.2) { options += [8, 10, 0, 0, 0, 1, 0, 0, 0, 0] }
        while options.count % 4 != 0 { options.append(pick([0, 1])) }
        return options
    }

    private mutating func layers() -> [PacketLayer] {
        var layers: [PacketLayer] = [.ethernet(type: chance(0.03) ? number(0x600...0xffff) : nil)]
        for _ in 0..<pick([0, 0, 0, 0, 1, 2, 3]) {
            layers.append(.vlan(pick([0, 1, 100]), tag: pick([0x8100, 0x88a8])))
        }
        if chance(0.03) { return layers + [.arp(sender: "192.0.2.1", target: "192.0.2.2")] }
        let isIPv4 = chance(0.5)
        if isIPv4 {
            let offset: UInt16 = chance(0.1) ? number(1...100) : 0
            layers.append(
                .ipv4(
                    from: address(isIPv4: true), to: address(isIPv4: true), next: offset > 0 ? pick([6, 17, 1]) : nil,
                    ttl: pick([1, 64, 255]), options: [UInt8](repeating: 1, count: pick([0, 0, 0, 4, 40])),
                    fragmentOffset: offset, moreFragments: chance(0.1),
                    totalLength: chance(0.03) ? number(0...200) : nil))
        } else {
            layers.append(
                .ipv6(
                    from: address(isIPv4: false), to: address(isIPv4: false), hopLimit: pick([1, 64, 255]),
                    payloadLength: chance(0.03) ? number(0...200) : nil))
            for _ in 0..<pick([0, 0, 0, 0, 1, 2, 8, 9]) {
                switch number(0...4) {
                case 0: layers.append(.fragmentHeader(offset: chance(0.5) ? number(1...100) : 0, more: chance(0.5)))
                case 1: layers.append(.authenticationHeader(bytes: pick([12, 24])))
                default: layers.append(.extensionHeader(pick([0, 43, 60, 135, 139, 140]), bytes: pick([8, 16, 40])))
                }
            }
        }
        switch number(0...9) {
        case 0...3: layers.append(.udp(from: port(), to: port()))
        case 4...7:
            layers.append(.tcp(from: port(), to: port(), flags: pick([.syn, [.syn, .ack], .ack]), options: options()))
        case 8:
            layers.append(
                isIPv4 ? .icmp(type: pick([0, 3, 8])) : .icmpv6(type: pick([128, 131, 132, 133, 135, 137, 143])))
        default: layers.append(.sctp(from: port(), to: port()))
        }
        return layers + [.payload(pick([0, 0, 7, 18, 32, 440]))]
    }
}
