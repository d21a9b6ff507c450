// SPDX-License-Identifier: Apache-2.0

import StageKit
import StageTesting
import VolumetricDoS

/// A kind of packets, so many a second, from one time to another.
struct Flow {
    var name: String
    var rate: Double
    var from = 0.0
    var until = Double.infinity
    var isAttack = false
    /// The headers: lengths are what they say, as samples end there.
    var frame: @Sendable (inout SeededGenerator) -> [UInt8]

    func attacking(_ rate: Double, from: Double = 25, until: Double = .infinity) -> Flow {
        var flow = self
        (flow.rate, flow.from, flow.until, flow.isAttack) = (rate, from, until, true)
        return flow
    }
}

/// The victim of the floods, and what is around it.
private let victim: IPAddress = "192.0.2.1"

extension [Flow] {
    /// What usually comes to 192.0.2.1, in all so many packets a second, and to its neighbours.
    static func usual(_ rate: Double, to destination: IPAddress = victim) -> [Flow] {
        [
            Flow(name: "web", rate: 0.6 * rate) { random in
                let length: UInt16 = random.pick([52, 52, 52, 1500, random.number(60...1400)])
                let flags: TCPFlags = random.pick([[.ack], [.ack], [.psh, .ack], [.fin, .ack]])
                return random.tcp(random.client(), destination, to: 443, flags: flags, length: length)
            },
            Flow(name: "web connections", rate: 0.06 * rate) { random in
                random.tcp(random.client(), destination, to: 443, flags: .syn, length: 60)
            },
            Flow(name: "QUIC", rate: 0.2 * rate) { random in
                let length: UInt16 = random.pick([random.number(50...90), random.number(1228...1300)])
                return random.udp(
                    random.client(), destination, from: random.number(1024...65535), to: 443, length: length)
            },
            Flow(name: "DNS answers", rate: 0.1 * rate) { random in
                let resolver = IPAddress(bytes: [8, 8, random.pick([4, 8]), random.pick([4, 8])])
                return random.udp(
                    resolver, destination, from: 53, to: random.number(32768...60999), length: random.number(80...500))
            },
            Flow(name: "NTP", rate: 0.02 * rate) { random in
                random.udp(
                    random.pick(["203.0.113.5", "198.51.100.77"]), destination, from: 123, to: 123, length: 76)
            },
            Flow(name: "pings", rate: 0.02 * rate) { random in
                Packet.bytes(
                    .ethernet(), .ipv4(from: random.client(), to: destination, ttl: 55, totalLength: 84), .icmp())
            },
        ]
    }
}

extension SeededGenerator {
    /// One of 400 clients all over the world.
    mutating func client() -> IPAddress {
        var place = SeededGenerator(seed: 7000 + number(0...399))
        return IPAddress(bytes: [
            place.number(20...220), place.number(0...255), place.number(0...255), place.number(1...254),
        ])
    }

    mutating func anywhere() -> IPAddress {
        IPAddress(bytes: [number(1...223), number(0...255), number(0...255), number(0...255)])
    }

    mutating func inside(_ first: UInt8, _ second: UInt8) -> IPAddress {
        IPAddress(bytes: [first, second, number(0...255), number(0...255)])
    }

    mutating func udp(
        _ source: IPAddress, _ destination: IPAddress, from: UInt16, to: UInt16, length: UInt16, ttl: UInt8? = nil
    ) -> [UInt8] {
        Packet.bytes(
            .ethernet(), .ipv4(from: source, to: destination, ttl: ttl ?? number(40...60), totalLength: length),
            .udp(from: from, to: to))
    }

    mutating func tcp(
        _ source: IPAddress, _ destination: IPAddress, to: UInt16, flags: TCPFlags, length: UInt16, ttl: UInt8? = nil
    ) -> [UInt8] {
        Packet.bytes(
            .ethernet(), .ipv4(from: source, to: destination, ttl: ttl ?? number(40...60), totalLength: length),
            .tcp(from: number(1024...65535), to: to, flags: flags))
    }
}

extension Flow {
    /// Answers of time servers, from many of those.
    static let ntpAmplification = Flow(name: "NTP amplification", rate: 0) { random in
        random.udp(random.anywhere(), victim, from: 123, to: random.number(1024...65535), length: 468)
    }

    /// Of the length and port of the legitimate ones: nothing but the source tells them apart.
    static let ntpLookalike = Flow(name: "NTP like the usual", rate: 0) { random in
        random.udp(random.anywhere(), victim, from: 123, to: 123, length: 76)
    }

    /// Several amplifiers at once, and the later fragments of their answers.
    static let manyAmplifiers = Flow(name: "amplification by many protocols", rate: 0) { random in
        if random.chance(0.3) {
            return Packet.bytes(
                .ethernet(),
                .ipv4(
                    from: random.anywhere(), to: victim, next: 17, ttl: random.number(40...60), fragmentOffset: 185,
                    totalLength: random.number(600...1500)))
        }
        return random.udp(
            random.anywhere(), victim, from: random.pick([19, 389, 1900, 11211]), to: random.number(1024...65535),
            length: random.number(1000...1500))
    }

    static let spoofedSYNs = Flow(name: "SYN flood", rate: 0) { random in
        random.tcp(random.anywhere(), victim, to: 443, flags: .syn, length: 40, ttl: random.number(230...250))
    }

    /// SYNs that look like any browser's.
    static let perfectSYNs = Flow(name: "SYN flood without a fault", rate: 0) { random in
        random.tcp(random.anywhere(), victim, to: 443, flags: .syn, length: 60)
    }

    /// Requests that look like anybody's, from one /16.
    static let botnet = Flow(name: "botnet", rate: 0) { random in
        let length: UInt16 = random.pick([52, 52, 52, 1500, random.number(60...1400)])
        return random.tcp(
            random.inside(198, 18), victim, to: 443, flags: random.pick([[.ack], [.psh, .ack]]), length: length)
    }

    static let carpet = Flow(name: "carpet bombing", rate: 0) { random in
        let destination = IPAddress(bytes: [192, 0, 2, random.number(0...255)])
        return random.udp(random.anywhere(), destination, from: 53, to: random.number(1024...65535), length: 1400)
    }

    static let smallPackets = Flow(name: "small datagrams to any port", rate: 0) { random in
        random.udp(
            random.anywhere(), victim, from: random.number(1024...65535), to: random.number(1...65535),
            length: random.number(29...44))
    }

    static let version6 = Flow(name: "IPv6 flood", rate: 0) { random in
        var source: [UInt8] = [0x20, 0x01, 0x0d, 0xb8, 0xba, 0xd0]
        source += (0..<10).map { _ in random.number(0...255) }
        return Packet.bytes(
            .ethernet(),
            .ipv6(
                from: IPAddress(bytes: source), to: "2001:db8:1::1", hopLimit: random.number(40...60),
                payloadLength: random.number(8...1000)), .udp(from: random.number(1024...65535), to: 443))
    }

    static let usual6 = Flow(name: "IPv6 web", rate: 300) { random in
        var place = SeededGenerator(seed: 9000 + random.number(0...99))
        let source = [0x2a, 0x00] + (0..<14).map { _ in place.number(0...255) as UInt8 }
        let ip = PacketLayer.ipv6(
            from: IPAddress(bytes: source), to: "2001:db8:1::1", hopLimit: random.number(40...60),
            payloadLength: random.number(20...1400))
        let port: UInt16 = random.number(1024...65535)
        return random.chance(0.5)
            ? Packet.bytes(.ethernet(), ip, .udp(from: port, to: 443))
            : Packet.bytes(.ethernet(), ip, .tcp(from: port, to: 443, flags: random.pick([[.syn], [.ack]])))
    }

    /// More of what usually comes, from clients that have never been seen.
    static let crowd = Flow(name: "flash crowd", rate: 0) { random in
        let flags: TCPFlags = random.pick([[.ack], [.ack], [.psh, .ack], [.fin, .ack], .syn])
        let length: UInt16 = flags == .syn ? 60 : random.pick([52, 52, 52, 1500, random.number(60...1400)])
        return random.tcp(random.anywhere(), victim, to: 443, flags: flags, length: length)
    }
}
