// SPDX-License-Identifier: Apache-2.0

import StageKit
import Testing

@Suite("Packets in code")
struct PacketTests {
    // As a packet analyser takes them apart, checksums included.
    static let known: [([PacketLayer], String)] = [
        (
            [.ethernet(to: .broadcast), .arp(sender: "192.0.2.1", target: "192.0.2.2")],
            "ffffffffffff020000000001" + "0806" + "0001080006040001" + "020000000001c0000201" + "000000000000c0000202"
        ),
        (
            [
                .ethernet(), .vlan(7), .ipv4(from: "192.0.2.1", to: "198.51.100.1"), .udp(from: 53, to: 4000),
                .payload([1, 2, 3]),
            ],
            "020000000002020000000001" + "81000007" + "0800" + "4500001f0001000040118e97" + "c0000201c6336401"
                + "00350fa0000bffca" + "010203"
        ),
        (
            [.ethernet(), .ipv6(from: "2001:db8::1", to: "2001:db8::2"), .icmpv6()],
            "020000000002020000000001" + "86dd" + "6000000000083a40" + "20010db8000000000000000000000001"
                + "20010db8000000000000000000000002" + "8000244800000000"
        ),
    ]

    @Test(arguments: known)
    func areAsOnTheWire(layers: [PacketLayer], hex: String) {
        #expect(Bytes(Packet.bytes(layers)).hex == hex)
    }

    @Test(
        arguments: [
            [
                .ipv4(from: "10.0.0.1", to: "10.0.0.2"), .tcp(from: 1, to: 2, options: [2, 4, 5, 180]),
                .payload([1, 2, 3]),
            ],
            [.ipv6(from: "2001:db8::1", to: "2001:db8::2"), .extensionHeader(60), .tcp(from: 1, to: 2), .payload([9])],
            [.ipv6(from: "2001:db8::1", to: "2001:db8::2"), .udp(from: 1, to: 2), .payload(100)],
        ] as [[PacketLayer]])
    func transportChecksumsHold(layers: [PacketLayer]) throws {
        let packet = Packet.bytes(layers)
        let isIPv4 = packet[0] >> 4 == 4
        let header = isIPv4 ? 20 : 40 + (layers.count == 4 ? 8 : 0)
        let addresses = isIPv4 ? packet[12..<20] : packet[8..<40]
        let segment = packet[header...]
        let number: UInt8 = isIPv4 || layers.count == 4 ? 6 : 17
        let pseudo = Array(addresses) + [0, number, UInt8(segment.count >> 8), UInt8(segment.count & 255)]
        #expect(internetChecksum(pseudo + segment) == 0)
        if isIPv4 { #expect(internetChecksum(packet[..<20]) == 0) }
    }

    @Test func checksumOfRFC1071() {
        #expect(internetChecksum([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]) == ~0xddf2)
        #expect(internetChecksum([0xff]) == 0x00ff)
    }

    @Test func headersNameTheNextOne() {
        let packet = Packet.bytes(
            .ipv6(from: "::1", to: "::2"), .extensionHeader(0, bytes: 16), .fragmentHeader(offset: 5, more: true),
            .authenticationHeader(), .sctp(from: 1, to: 2))
        #expect(packet[6] == 0)
        #expect(Array(packet[40...41]) == [44, 1])
        #expect(Array(packet[56...59]) == [51, 0, 0, 41])
        #expect(Array(packet[64...65]) == [132, 4])
        #expect(packet.count == 40 + 16 + 8 + 24 + 12)
    }
}
